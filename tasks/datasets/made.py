"""Outlier sets made by arithmetic: from nothing, or from the test images of another set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped, WrongInput
from tasks.datasets.arrays import SIDE, ArrayWriter, images_file, labels_file, load
from tasks.datasets.catalogue import Dataset

Images = NDArray[np.uint8]

_LEVELS = np.arange(256)
_DIMMED: Images = np.rint(_LEVELS * 0.3).astype(np.uint8)  # by level
_BLACK = 0
_CHUNK = 4_096


def make(
    dataset: Dataset, folder: Path, base: Path | None, should_stop: Callable[[], bool]
) -> dict[str, int]:
    """Write the images of a made set, and the labels of the set that it is made from; gives their number.

    `base` is the decoded folder of that set. Deterministic for the dataset's seed and the base.
    """
    if dataset.made_from == "nothing":
        count = dataset.images["test"]
        generator = np.random.default_rng(dataset.seed)
        return {"test": _write(folder, count, _FROM_NOTHING[dataset.name](generator), should_stop)}
    if base is None:
        what = "training set" if dataset.made_from == "train" else "primary outlier set"
        raise WrongInput(f"{dataset.name} is made from the {what}: fetch that first")
    split = load(base, "test")
    change = _FROM_IMAGES[dataset.name]
    count = _write(
        folder, len(split.images), lambda start, stop: change(split.images[start:stop]), should_stop
    )
    if split.labels is not None:
        with ArrayWriter(folder / labels_file("test"), ()) as writer:
            writer.append(split.labels)
    return {"test": count}


def _write(
    folder: Path, count: int, piece: Callable[[int, int], Images], should_stop: Callable[[], bool]
) -> int:
    with ArrayWriter(folder / images_file("test"), (SIDE, SIDE)) as writer:
        for start in range(0, count, _CHUNK):
            if should_stop():
                raise Stopped("stopped while making images")
            writer.append(piece(start, min(start + _CHUNK, count)))
        return writer.count


def _noise(generator: np.random.Generator) -> Callable[[int, int], Images]:
    """Each pixel any of the 256 levels, all as likely."""
    return lambda start, stop: generator.integers(0, 256, (stop - start, SIDE, SIDE), np.uint8)


def _blank(generator: np.random.Generator) -> Callable[[int, int], Images]:
    del generator  # nothing of it is left to chance
    return lambda start, stop: np.full((stop - start, SIDE, SIDE), _BLACK, np.uint8)


def _dim(images: Images) -> Images:
    return _DIMMED[images]


def _turn(images: Images) -> Images:
    """By 90 degrees counter-clockwise."""
    return np.rot90(images, axes=(1, 2))


def _mirror(images: Images) -> Images:
    return images[:, :, ::-1]


_FROM_NOTHING: Mapping[str, Callable[[np.random.Generator], Callable[[int, int], Images]]] = {
    "noise": _noise,
    "blank": _blank,
}
_FROM_IMAGES: Mapping[str, Callable[[Images], Images]] = {
    "dimmed": _dim,
    "rotated": _turn,
    "mirrored": _mirror,
}
