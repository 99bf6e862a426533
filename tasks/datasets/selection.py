"""Which rows of a stored dataset are used for what: learnt from, held out for the threshold, tested with.

`limit` uses only the first so many rows of a split (0: all).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tasks.datasets.arrays import Split, load


def training_rows(dataset: Path, *, held_out: int, limit: int) -> Split:
    """Give the training rows that the networks learn from: all but the held-out ones."""
    return load(dataset, "train", limit=limit).take(slice(None, -held_out))


def held_out_rows(dataset: Path, *, held_out: int, limit: int) -> NDArray[Any]:
    """Give the last training rows, (`held_out`, ...), which no weight sees."""
    return load(dataset, "train", limit=limit).take(slice(-held_out, None)).images


def tested_rows(dataset: Path, *, limit: int) -> Split:
    """Give the test rows."""
    return load(dataset, "test", limit=limit)
