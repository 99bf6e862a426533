"""Outlier sets made by arithmetic: from nothing, or from the test rows of another set.

Rows of any shape can be noise, blank, dimmed or shuffled; pictures also mirrored, and square ones rotated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from settings.errors import Stopped, WrongInput
from settings.model import Description
from tasks.datasets.arrays import ArrayWriter, Rows, images_file, labels_file, load
from tasks.datasets.catalogue import Dataset

_CHUNK_VALUES = 1 << 22
_DIMMED = 0.3


def make(
    dataset: Dataset,
    folder: Path,
    base: Path | None,
    rows: Description | None,
    should_stop: Callable[[], bool],
) -> dict[str, int]:
    """Write the rows of a made set, and the labels of the set that it is made from; gives their number.

    `base` is the decoded folder of that set, `rows` what its rows are, or what those have to be that are made
    from nothing. Deterministic for the dataset's seed, the base and the shape.
    """
    if rows is None or (base is None and dataset.made_from != "nothing"):
        what = "primary outlier set" if dataset.made_from == "outliers" else "training set"
        raise WrongInput(f"{dataset.name} is made from the {what}: fetch that first")
    if reason := unfit(dataset.name, rows.shape):
        raise WrongInput(reason)
    generator = np.random.default_rng(dataset.seed)
    if base is None or dataset.made_from == "nothing":
        from_nothing = _FROM_NOTHING[dataset.name]
        count = dataset.images["test"]
        return {
            "test": _write(
                folder, count, rows, lambda _, size: from_nothing(rows, size, generator), should_stop
            )
        }
    split = load(base, "test")
    change = _FROM_ROWS[dataset.name]
    count = _write(
        folder,
        len(split.images),
        rows,
        lambda start, size: change(split.images[start : start + size], rows, generator),
        should_stop,
    )
    if split.labels is not None:
        with ArrayWriter(folder / labels_file("test"), ()) as writer:
            writer.append(split.labels)
    return {"test": count}


def unfit(name: str, shape: tuple[int, ...]) -> str:
    """Say why a set of that name cannot be made of rows of that shape; nothing where it can."""
    shown = " x ".join(map(str, shape))
    if name in ("mirrored", "rotated") and len(shape) not in (2, 3):
        return f"{name} is made of pictures, with or without channels, not of rows of {shown}"
    if name == "rotated" and shape[0] != shape[1]:
        return f"rotated is made of pictures with equal sides, not of {shown}"
    return ""


def _write(
    folder: Path,
    count: int,
    rows: Description,
    piece: Callable[[int, int], Rows],
    should_stop: Callable[[], bool],
) -> int:
    chunk = max(1, _CHUNK_VALUES // int(np.prod(rows.shape, dtype=np.int64)))
    with ArrayWriter(folder / images_file("test"), rows.shape, rows.dtype) as writer:
        for start in range(0, count, chunk):
            if should_stop():
                raise Stopped("stopped while making rows")
            writer.append(piece(start, min(chunk, count - start)))
        return writer.count


def _noise(rows: Description, count: int, generator: np.random.Generator) -> Rows:
    """Each value any of those that there can be, all as likely."""
    if rows.dtype == "uint8":
        return generator.integers(0, 256, (count, *rows.shape), np.uint8)
    values = generator.random((count, *rows.shape), np.float32)
    return rows.low + values * np.float32(rows.high - rows.low)


def _blank(rows: Description, count: int, generator: np.random.Generator) -> Rows:
    """The lowest value everywhere: black."""
    del generator  # nothing of it is left to chance
    return np.full((count, *rows.shape), rows.low, rows.dtype)


def _dim(values: Rows, rows: Description, generator: np.random.Generator) -> Rows:
    """At 0.3 of what they are above the lowest value."""
    del generator
    if rows.dtype == "uint8":
        levels: Rows = np.rint(np.arange(256) * _DIMMED).astype(np.uint8)
        dimmed: Rows = levels[values]
        return dimmed
    return np.float32(rows.low) + (values - np.float32(rows.low)) * np.float32(_DIMMED)


def _turn(values: Rows, rows: Description, generator: np.random.Generator) -> Rows:
    """By 90 degrees counter-clockwise."""
    del rows, generator
    return np.rot90(values, axes=(1, 2))


def _mirror(values: Rows, rows: Description, generator: np.random.Generator) -> Rows:
    """Left and right exchanged."""
    del rows, generator
    return values[:, :, ::-1]


def _shuffle(values: Rows, rows: Description, generator: np.random.Generator) -> Rows:
    """Each row's values in an order of their own: what they are stays, where they are does not."""
    flat = np.array(values).reshape(len(values), -1)
    shuffled: Rows = generator.permuted(flat, axis=1)
    return shuffled.reshape(values.shape)


_FROM_NOTHING: Mapping[str, Callable[[Description, int, np.random.Generator], Rows]] = {
    "noise": _noise,
    "blank": _blank,
}
_FROM_ROWS: Mapping[str, Callable[[Rows, Description, np.random.Generator], Rows]] = {
    "dimmed": _dim,
    "rotated": _turn,
    "mirrored": _mirror,
    "shuffled": _shuffle,
}
