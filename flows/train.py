"""One network in a process of its own: a delivery whose runner is kubernetes starts this in a pod for each.

It takes no lock: the delivery that waits for it holds that of the models.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from prefect import flow

from flows.logs import set_up_logs
from settings.delivery import Delivery
from settings.hyperparameters import ClassifierSettings, ConceptSettings, DataSettings
from settings.places import read_places
from tasks.stopping import stop_in_order
from tasks.store.artifacts import Artifact
from tasks.train import train_classifier, train_concept
from tasks.train_in_pod import Network
from tasks.workplace import open_workplace

DEFAULTS = Delivery()


@flow(name="train", flow_run_name="train-{network}", persist_result=False, result_serializer="json")
def train(
    network: Network,
    dataset: Artifact,
    data: DataSettings = DEFAULTS.data,
    classifier: ClassifierSettings = DEFAULTS.classifier,
    concept: ConceptSettings = DEFAULTS.concept,
) -> Artifact:
    """Train one network on a dataset of the store, and leave it in the store."""
    set_up_logs()
    place = open_workplace(read_places(os.environ, Path.cwd()), DEFAULTS.serving.name)
    here = replace(place, runner="local")
    with stop_in_order():
        if network == "classifier":
            return train_classifier(here, dataset, data, classifier)
        return train_concept(here, dataset, data, concept)
