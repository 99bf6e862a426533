"""promote: brings production to serve a version, without a gap and with the way back open."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.production import Promotion, Seen, bring, was_forced
from tasks.workplace import Workplace


def refusal(place: Workplace, version: int, message: str) -> str:
    """Say that a version fails gates, which the message names, and whether it is in production all the same.

    It is there where it was forced, or where other gates were asked for when it came there.
    """
    if place.version_in_production() != version:
        return f"version {version} is not promoted: {message}"
    forced = ", into which it was forced" if was_forced(place.registry.history, version) else ""
    return f"version {version} fails its gates and stays in production{forced}: {message}"


def standing(place: Workplace, version: int, against: str) -> str:
    """Say that an operator's decision `against` a version stands, what production serves, and the ways on."""
    present = place.version_in_production()
    serves = f"production serves version {present}" if present else "production serves nothing"
    return (
        f"version {version} is not promoted again: {against}; {serves}; deliver another version, go back to "
        f"this one (slipway rollback --to {version}), or deliver with --force"
    )


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE, persist_result=False)
def promote(
    place: Workplace,
    version: int,
    judging: JudgingSettings,
    serving: ServingSettings,
    why: str,
    champion: int | None,
    forced: bool,
    seen: Seen,
) -> Promotion:
    """Give production's endpoint, which serves `version` and answered its golden images.

    Raises Overruled where production was changed since it was `seen`.
    """
    return bring(
        place,
        version,
        judging,
        serving,
        event="promoted",
        why=why,
        champion=champion,
        forced=forced,
        left=seen.wanted.version or None if seen.wanted else None,
        seen=seen,
    )
