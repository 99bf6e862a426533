"""promote: brings production to serve a version, without a gap and with the way back open."""

from __future__ import annotations

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.channels.rollout import roll_out
from tasks.release.history import EventName, History
from tasks.stage import wanted
from tasks.stopping import should_stop
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


class Promotion(BaseModel):
    """What a promotion did."""

    model_config = ConfigDict(frozen=True)

    version: int
    url: str
    changed: bool  # False: production served the version already, and was only probed


def was_forced(history: History, version: int) -> bool:
    """Tell whether the last promotion of a version was a forced one."""
    promoted = history.last("promoted", version)
    return promoted is not None and promoted.forced


def refusal(place: Workplace, version: int, message: str) -> str:
    """Say that a version fails gates, which the message names, and whether it is in production all the same.

    It is there where it was forced, or where other gates were asked for when it came there.
    """
    if place.version_in_production() != version:
        return f"version {version} is not promoted: {message}"
    forced = ", into which it was forced" if was_forced(place.registry.history, version) else ""
    return f"version {version} fails its gates and stays in production{forced}: {message}"


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE, persist_result=False)
def promote(
    place: Workplace,
    version: int,
    judging: JudgingSettings,
    serving: ServingSettings,
    why: str,
    champion: int | None,
    forced: bool,
    event: EventName = "promoted",
) -> Promotion:
    """Give production's endpoint, which serves `version` and answered its golden images."""
    endpoint, changed = roll_out(
        place.backend,
        place.registry,
        wanted(version, serving),
        deadline_seconds=place.backend.rollout_seconds,
        rtol=judging.parity_rtol,
        atol=judging.parity_atol,
        should_stop=should_stop,
    )
    history = place.registry.history
    # A run that was killed after the rollout left no line: neither of its version, nor of the way back from
    # there. Who forced what is served already is told too.
    unknown = history.served()[-1:] != [version] or (changed and event == "rolled back")
    if unknown or (forced and not was_forced(history, version)):
        digest = place.registry.digest(version)
        history.append(event, version, digest, why, champion=champion, forced=forced)
    verb = "is now" if changed else "was already"
    logger.info("version %s %s in production at %s", version, verb, endpoint.url)
    return Promotion(version=version, url=endpoint.url, changed=changed)
