"""A dataset without some of its classes, and the test rows of these as a set of outliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped, WrongInput
from settings.model import Description
from tasks.datasets.arrays import ArrayWriter, images_file, labels_file, load
from tasks.datasets.description import SPLITS, describe
from tasks.store.artifacts import read_record

LEFT_OUT = "left-out"  # the name of the set of the classes that are left out
_CHUNK = 1_024


def check_left_out(name: str, classes: Sequence[str], left_out: Sequence[str]) -> None:
    """Refuse classes that a dataset lacks, and to leave fewer than two."""
    if unknown := [each for each in left_out if each not in classes]:
        raise WrongInput(
            f"data.leave_out names {', '.join(map(repr, unknown))}, no class of {name}; it has "
            f"{', '.join(classes) or 'none'}"
        )
    if len(classes) - len(left_out) < 2:
        raise WrongInput(f"data.leave_out leaves fewer than two classes of {name} to train on")


def keep_classes(
    base: Path, folder: Path, left_out: Sequence[str], should_stop: Callable[[], bool]
) -> dict[str, Any]:
    """Write the rows of the remaining classes, which are numbered anew in their order; gives the notes."""
    described = describe(base)
    kept = [each for each in described.classes if each not in left_out]
    counts = {split: _copy(base, folder, split, described, kept, should_stop) for split in SPLITS}
    noted = _noted(base)
    how = f"{noted.get('title', 'the training set')} without {', '.join(left_out)}"
    return _notes(described, kept, counts, how) | {"quarantined": noted.get("quarantined", [])}


def keep_left_out(
    base: Path, folder: Path, left_out: Sequence[str], should_stop: Callable[[], bool]
) -> dict[str, Any]:
    """Write the test rows of the classes that are left out; gives the notes."""
    described = describe(base)
    kept = [each for each in described.classes if each in left_out]
    counts = {"test": _copy(base, folder, "test", described, kept, should_stop)}
    return _notes(described, kept, counts, f"the classes {', '.join(kept)} of the training set")


def _copy(
    base: Path,
    folder: Path,
    split: str,
    described: Description,
    kept: Sequence[str],
    should_stop: Callable[[], bool],
) -> int:
    """Copy the rows of some classes piece by piece; gives their number."""
    whole = load(base, split)
    labels = whole.known_labels()
    number: NDArray[np.int64] = np.full(256, -1)
    for new, name in enumerate(kept):
        number[described.classes.index(name)] = new
    rows = np.flatnonzero(number[labels] >= 0)
    with (
        ArrayWriter(folder / images_file(split), described.shape, described.dtype) as images,
        ArrayWriter(folder / labels_file(split), ()) as new_labels,
    ):
        for start in range(0, len(rows), _CHUNK):
            if should_stop():
                raise Stopped("stopped while leaving out classes")
            chosen = rows[start : start + _CHUNK]
            images.append(whole.images[chosen])
            new_labels.append(number[labels[chosen]].astype(np.uint8))
    return len(rows)


def _noted(base: Path) -> dict[str, Any]:
    """What is noted of the set that classes are left out of."""
    record = read_record(base)
    return record.notes if record is not None else {}


def _notes(described: Description, kept: Sequence[str], counts: dict[str, int], how: str) -> dict[str, Any]:
    return {
        "title": how,
        "source": how,
        "served": {},
        "tried": [],
        "quarantined": [],
        "images": counts,
        "description": described.model_copy(update={"classes": tuple(kept)}).model_dump(mode="json"),
    }
