"""One network in a process of its own: a delivery whose runner is kubernetes starts this in a pod for each.

It takes no lock: the delivery that waits for it holds that of the models.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow

from flows.logs import set_up_logs
from settings.delivery import Parameters
from settings.errors import WrongInput
from settings.hyperparameters import DataSettings
from settings.modules import find_model
from settings.places import read_places
from tasks import train as training
from tasks.models.builtin import BUILT_IN
from tasks.stopping import stop_in_order
from tasks.store.artifacts import Artifact
from tasks.workplace import open_workplace


@flow(name="train", flow_run_name="train-{network}", persist_result=False, result_serializer="json")
def train(network: str, dataset: Artifact, data: DataSettings, settings: dict[str, Any]) -> Artifact:
    """Train one network of the model on a dataset of the store, and leave it in the store."""
    set_up_logs()
    places, folder = read_places(os.environ, Path.cwd()), Path.cwd()
    model = find_model((), environ=os.environ, folder=folder, default=BUILT_IN)
    found = {each.name: each for each in model.networks}
    if network not in found:
        raise WrongInput(f"the model {model.name} has no network {network!r}: it has {', '.join(found)}")
    checked: Any = Parameters(model).stages[network].model_validate(settings)
    here = replace(open_workplace(places, model.name), runner="local")
    with stop_in_order():
        return training.train(here, found[network], checked, dataset, data)
