"""try: a user's model is tried on one batch, and its export, before anything of it is trained."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from settings.delivery import Delivery
from settings.model import Model
from tasks.fetch import Gathered
from tasks.making.trial import try_model
from tasks.models.loading import load_tensorflow
from tasks.steps import network_key
from tasks.workplace import Workplace


class Tried(BaseModel):
    """Whether there was something to try."""

    model_config = ConfigDict(frozen=True)

    changed: bool  # False: every network was trained already, or is built in


@task(name="try", task_run_name="try", cache_policy=NO_CACHE, persist_result=False)
def try_out(place: Workplace, model: Model, delivery: Delivery, gathered: Gathered) -> Tried:
    """Try the networks and their export; raises WrongInput. Nothing to do where all are trained already."""
    untrained = [
        network.name
        for network in model.networks
        if place.store.find(
            network.name,
            network_key(
                network,
                delivery.networks[network.name],
                gathered.dataset,
                gathered.description,
                gathered.data,
            ),
        )
        is None
    ]
    if model.source is None or not untrained:
        return Tried(changed=False)
    load_tensorflow()
    dataset = place.store.folder(gathered.dataset)
    try_model(model, delivery.networks, dataset, gathered.description, gathered.data)
    return Tried(changed=True)
