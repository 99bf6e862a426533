"""train: one network of the model, on all training rows but the held-out ones.

The runner of the workplace decides where: here, or in a pod for each network. The keys are the same.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from settings.hyperparameters import DataSettings
from settings.model import Network, Training
from tasks.datasets.description import describe
from tasks.kept import at_hand
from tasks.making.network import make_network
from tasks.models.loading import with_tensorflow
from tasks.steps import network_key
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.train_in_pod import train_in_pod
from tasks.workplace import Workplace


@task(name="train", task_run_name="train-{network.name}", cache_policy=NO_CACHE, persist_result=False)
def train(
    place: Workplace, network: Network, settings: Training, dataset: Artifact, data: DataSettings
) -> Artifact:
    """Give the trained network: weights and learning curve."""
    folder = place.store.folder(dataset)
    description = describe(folder)
    key = network_key(network, settings, dataset, description, data)
    if (known := at_hand(place, network.name, key)) is not None:
        return known
    if place.runner == "kubernetes":
        return train_in_pod(place, network.name, key, dataset, data, settings)
    return place.store.make(
        network.name,
        key,
        with_tensorflow(
            make_network,
            network,
            settings,
            folder,
            description,
            data,
            checkpoints=place.store.checkpoints(network.name, key),
            should_stop=should_stop,
        ),
    )
