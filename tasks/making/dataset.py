"""A dataset: fetched, or made from another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.fetch import fetch

if TYPE_CHECKING:
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store


def make_dataset(
    folder: Path,
    store: Store,
    name: str,
    base: Artifact | None,
    *,
    local_folders: Sequence[Path],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Write a dataset into `folder`, and give the notes on it."""
    return fetch(
        name,
        folder,
        home=store.dataset_home(name),
        local_folders=local_folders,
        base=store.folder(base) if base is not None else None,
        should_stop=should_stop,
    )
