"""Tasks whose results are kept: the store alone says what is at hand, and Prefect is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from tasks.kept import at_hand, keep
from tasks.store.artifacts import Artifact
from tasks.store.keys import Key
from tasks.store.store import Store

KEY = Key({"setting steps": "7"})


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """A workplace that is a store."""
    return SimpleNamespace(store=Store(tmp_path / "data", tmp_path / "models"))


def write(folder: Path) -> None:
    """Make something."""
    (folder / "weights.npz").write_bytes(b"weights")


def test_what_is_not_there_is_made(place: Any) -> None:
    """Once: it is given as it is, for the task to end as any other does."""
    assert at_hand(place, "net", KEY) is None
    made = keep(place, "net", KEY, write)
    assert isinstance(made, Artifact)
    assert place.store.find("net", KEY) == made


def test_what_is_there_ends_as_cached(place: Any) -> None:
    """As a state of that name, which tells what it is and has the artifact for its result."""
    made = keep(place, "net", KEY, write)
    state: Any = keep(place, "net", KEY, lambda folder: pytest.fail("it was made again"))
    assert isinstance(state, State)
    assert (state.name, state.is_completed()) == ("Cached", True)
    assert state.message == f"net {made.path} is in the store"
    assert state.data == made


@pytest.mark.parametrize("content", [b"other", None])
def test_what_was_altered_or_is_gone_is_made_again(place: Any, content: bytes | None) -> None:
    """By the digests of the store, whatever was told before."""
    made = keep(place, "net", KEY, write)
    path = place.store.folder(made) / "weights.npz"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    again = keep(place, "net", KEY, write)
    assert isinstance(again, Artifact)
    assert again.digest == made.digest


def test_another_key_is_another_artifact(place: Any) -> None:
    """Nothing else of the store is taken for it."""
    keep(place, "net", KEY, write)
    assert at_hand(place, "net", Key({"setting steps": "8"})) is None
    assert at_hand(place, "other", KEY) is None
