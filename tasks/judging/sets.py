"""The sets of rows that a verdict is on, by name: the test rows first, then the outliers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tasks.datasets.selection import tested_rows

TEST = "test"  # the name of the in-distribution test rows among the sets


def load_sets(dataset: Path, outliers: Mapping[str, Path], *, limit: int) -> dict[str, NDArray[Any]]:
    """Give the rows (N, ...) of every set by name, the first `limit` (0: all), the test rows first."""
    folders = {TEST: dataset} | dict(outliers)
    return {name: tested_rows(folder, limit=limit).images for name, folder in folders.items()}
