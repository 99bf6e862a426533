"""stage: gives the release a version and brings the stage to serve it."""

from __future__ import annotations

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from settings.hyperparameters import ServingSettings
from tasks.channels.wanted import wanted
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


class Staged(BaseModel):
    """Where the stage answers; without an address where it was not needed."""

    model_config = ConfigDict(frozen=True)

    url: str | None
    changed: bool


@task(name="stage", task_run_name="stage", cache_policy=NO_CACHE, persist_result=False)
def stage(
    place: Workplace, version: int, release: Artifact, serving: ServingSettings, needed: bool
) -> Staged:
    """Bring the stage to serve the version, where it is `needed`."""
    if not needed:
        logger.info("version %s is judged already: the stage is not needed", version)
        return Staged(url=None, changed=False)
    endpoint = place.backend.put(
        "stage",
        wanted(version, serving),
        should_stop=should_stop,
    )
    place.registry.history.append("staged", version, release.digest, "to be judged")
    logger.info("version %s is on the stage at %s", version, endpoint.url)
    return Staged(url=endpoint.url, changed=True)
