"""A task whose result is kept: by its key in the store, which alone says whether it is there.

Prefect is told what came of it: such a task ends in the state `Cached` where its result was at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from prefect.states import Completed

from tasks.store.artifacts import Artifact
from tasks.store.keys import Key
from tasks.store.store import Notes
from tasks.workplace import Workplace

CACHED = "Cached"


def keep(place: Workplace, kind: str, key: Key, work: Callable[[Path], Notes | None]) -> Artifact:
    """Give the artifact of a key, for a task to return: what is in the store, else what `work` makes.

    One that is missing there, or of which a file was altered, is made again.
    """
    return at_hand(place, kind, key) or place.store.make(kind, key, work)


def at_hand(place: Workplace, kind: str, key: Key) -> Artifact | None:
    """Give the artifact of a key, for a task to return, where it is in the store; else None.

    It comes as the state that the task ends in: Prefect takes its data for the task's result.
    """
    found = place.store.find(kind, key)
    if found is None:
        return None
    state: object = Completed(name=CACHED, message=f"{kind} {found.path} is in the store", data=found)
    return cast("Artifact", state)
