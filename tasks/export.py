"""export: one SavedModel with all networks and the threshold; its manifest says what it was made from."""

from __future__ import annotations

import os
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from settings.delivery import Delivery
from settings.model import Model
from tasks.channels.cluster import own_image
from tasks.datasets.description import describe
from tasks.kept import keep
from tasks.making.release import make_release
from tasks.models.loading import with_tensorflow
from tasks.steps import release_key
from tasks.store.artifacts import Artifact
from tasks.workplace import Workplace


@task(name="export", task_run_name="export", cache_policy=NO_CACHE, persist_result=False)
def export(
    place: Workplace,
    model: Model,
    delivery: Delivery,
    dataset: Artifact,
    networks: Mapping[str, Artifact],
) -> Artifact:
    """Give the release of the networks, by their names: SavedModel, LiteRT file, golden rows and manifest."""
    description = describe(place.store.folder(dataset))
    key = release_key(delivery, model, dataset, description, networks)
    work = with_tensorflow(
        make_release,
        place.store,
        model,
        dataset,
        description,
        networks,
        delivery.networks,
        delivery.data,
        delivery.judging,
        parts=key.parts,
        image=own_image(os.environ),
    )
    return keep(place, "release", key, work)
