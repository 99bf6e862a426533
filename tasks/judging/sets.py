"""The sets of images that a verdict is on, by name: the test images first, then the outliers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.selection import tested_images

TEST = "test"  # the name of the in-distribution test images among the sets


def load_sets(dataset: Path, outliers: Mapping[str, Path], *, limit: int) -> dict[str, NDArray[np.uint8]]:
    """Give the images (N, 28, 28) of every set by name, the first `limit` (0: all), the test images first."""
    folders = {TEST: dataset} | dict(outliers)
    return {name: tested_images(folder, limit=limit).images for name, folder in folders.items()}
