"""Production's changes: a version is brought there, unless an operator has decided otherwise.

Plain Python, so that a rollback depends on nothing but the model: the tasks and the flows call it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from settings.errors import Overruled
from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.channels.backend import unconditional
from tasks.channels.rollout import roll_out
from tasks.channels.wanted import wanted
from tasks.release.document import Wanted
from tasks.release.history import Event, EventName, History
from tasks.stopping import should_stop
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


class Promotion(BaseModel):
    """What a promotion or a rollback did."""

    model_config = ConfigDict(frozen=True)

    version: int
    url: str
    changed: bool  # False: production served the version already, and was only probed


@dataclass(frozen=True)
class Seen:
    """How production stood at a moment: what its document said, and what had been promoted or rolled back."""

    wanted: Wanted | None
    changes: tuple[Event, ...]


def look_at(place: Workplace) -> Seen:
    """Give how production stands now."""
    return Seen(place.backend.document("production"), changes_of(place.registry.history))


def changes_of(history: History) -> tuple[Event, ...]:
    """Give the events that changed what production serves, oldest first."""
    return tuple(event for event in history.events() if event.event in ("promoted", "rolled back"))


def meanwhile(place: Workplace, seen: Seen) -> str:
    """Say who changed production since it was seen, and how; empty where nobody did."""
    now = look_at(place)
    if len(now.changes) > len(seen.changes):
        change = now.changes[-1]
        verb = "brought it back to" if change.event == "rolled back" else "promoted"
        return f"{change.who} {verb} version {change.version} at {change.at} ({change.why})"
    if now.wanted == seen.wanted:
        return ""
    if now.wanted is None or now.wanted.version == 0:
        return "it was stopped"
    return f"it was brought to version {now.wanted.version}"


def decision_against(place: Workplace, version: int, digest: str) -> str:
    """Say who took a release out of production, when and why; empty where it may go there.

    It may where production is meant to serve it already, whoever put it there. A version that production was
    brought back from by hand, of which the history knows nothing, was taken back too.
    """
    history = place.registry.history
    now = place.backend.document("production") or place.backend.kept("production")
    if now is not None and now.version == version:
        return ""
    if (event := history.taken_back().get(digest)) is not None:
        return f"{event.who} took it back at {event.at}: {event.why}"
    served = history.served()
    if now is not None and served[-1:] == [version] and now.version in served[:-1]:
        return f"production was brought back to version {now.version} by hand"
    return ""


def was_forced(history: History, version: int) -> bool:
    """Tell whether the last promotion of a version was a forced one."""
    promoted = history.last("promoted", version)
    return promoted is not None and promoted.forced


def bring(
    place: Workplace,
    version: int,
    judging: JudgingSettings,
    serving: ServingSettings,
    *,
    event: EventName,
    why: str,
    champion: int | None = None,
    forced: bool = False,
    left: int | None = None,
    seen: Seen | None = None,
) -> Promotion:
    """Bring production to serve a version, write that down, and give its endpoint, which was probed.

    Raises Overruled where production was changed since it was `seen` (None: whatever it was changed to), or
    is changed before the version has come up; then it stays so.
    """
    history = place.registry.history

    def claim() -> None:
        if seen is not None and (what := meanwhile(place, seen)):
            raise Overruled(what)

    def record(changed: bool) -> None:
        # A run that was killed after the rollout left no line: neither of its version, nor of the way back
        # from there. Who forced what is served already is told too.
        unknown = history.served()[-1:] != [version] or (changed and event == "rolled back")
        if unknown or (forced and not was_forced(history, version)):
            history.append(event, version, digest, why, champion=champion, forced=forced, left=left)

    digest = place.registry.digest(version)
    try:
        endpoint, changed = roll_out(
            place.backend,
            place.registry,
            wanted(version, serving),
            rtol=judging.parity_rtol,
            should_stop=should_stop,
            claim=claim if seen is not None else unconditional,
            record=record,
        )
    except Overruled as overruled:
        what = (meanwhile(place, seen) if seen is not None else "") or str(overruled)
        raise Overruled(
            f"version {version} did not go into production, which was changed meanwhile: {what}"
        ) from None
    verb = "is now" if changed else "was already"
    logger.info("version %s %s in production at %s", version, verb, endpoint.url)
    return Promotion(version=version, url=endpoint.url, changed=changed)
