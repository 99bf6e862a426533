"""Which images of a stored dataset are used for what: learnt from, held out for the threshold, tested with.

`limit` uses only the first so many images of a split (0: all).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.arrays import Split, load


def training_images(dataset: Path, *, held_out: int, limit: int) -> Split:
    """Give the training images that the networks learn from: all but the held-out ones."""
    return load(dataset, "train", limit=limit).take(slice(None, -held_out))


def held_out_images(dataset: Path, *, held_out: int, limit: int) -> NDArray[np.uint8]:
    """Give the last training images, (`held_out`, 28, 28), which no weight sees."""
    return load(dataset, "train", limit=limit).take(slice(-held_out, None)).images


def tested_images(dataset: Path, *, limit: int) -> Split:
    """Give the test images."""
    return load(dataset, "test", limit=limit)
