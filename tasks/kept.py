"""A task whose result is kept: by its key in the store, which alone says whether it is there.

Prefect is told what came of it: such a task ends in the state `Cached` where its result was at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.store.artifacts import Artifact
from tasks.store.keys import Key
from tasks.store.store import Notes
from tasks.workplace import Workplace

CACHED = "Cached"


def keep(
    place: Workplace, kind: str, key: Key, work: Callable[[Path], Notes | None]
) -> Artifact | State[Artifact]:
    """Give the artifact of a key: made by `work`, or, as a state that says so, what is in the store.

    One that is missing there, or of which a file was altered, is made again.
    """
    return at_hand(place, kind, key) or place.store.make(kind, key, work)


def at_hand(place: Workplace, kind: str, key: Key) -> State[Any] | None:
    """Give the state of a task whose artifact is in the store; None where it has to be made."""
    found = place.store.find(kind, key)
    if found is None:
        return None
    return Completed(name=CACHED, message=f"{kind} {found.path} is in the store", data=found)
