"""A dataset: fetched, decoded from a set of one's own, or made from another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settings.model import Description
from tasks.datasets.fetch import fetch
from tasks.datasets.leaving_out import LEFT_OUT, keep_classes, keep_left_out
from tasks.datasets.own import own_set

if TYPE_CHECKING:
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store


def make_dataset(
    folder: Path,
    store: Store,
    name: str,
    base: Artifact | None,
    how: Mapping[str, Any],
    *,
    local_folders: Sequence[Path],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Write a dataset into `folder`, and give the notes on it.

    `how` says what the name does not: the `shape` that pictures of one's own are brought to, the `rows` that
    a set is made like, or which classes are left out of the base (`leave_out`).
    """
    if base is not None and "leave_out" in how:
        keep = keep_left_out if name == LEFT_OUT else keep_classes
        return keep(store.folder(base), folder, how["leave_out"], should_stop)
    home = store.dataset_home(name)
    if (own := own_set(store.data_root, name)) is not None:
        from tasks.datasets.stored import decode_set  # brings Pillow, which other sets do without

        return decode_set(own, home, folder, tuple(how["shape"]) if "shape" in how else None, should_stop)
    return fetch(
        name,
        folder,
        home=home,
        local_folders=local_folders,
        base=store.folder(base) if base is not None else None,
        rows=Description.model_validate(how["rows"]) if "rows" in how else None,
        should_stop=should_stop,
    )
