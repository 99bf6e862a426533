"""Whether the disk has room for what a network's weights take: known when it is built."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from settings.errors import Surroundings

# Each weight of 4 bytes is kept itself, in its checkpoint with Adam's two moments (twice while one is written
# aside), and three times in the release, which lies there as artifact and as candidate.
WEIGHT_BYTES = 60


def check_room(folder: Path, name: str, variables: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Raise Surroundings where the disk of a folder has no room for the variables of a network."""
    weights = sum(values.size for values in variables.values())
    needed, free = WEIGHT_BYTES * weights, shutil.disk_usage(folder).free
    if free < needed:
        raise Surroundings(
            f"the disk of {folder.parent} is too full for the {weights:,} weights of {name}: {needed:,} "
            f"bytes are needed, {free:,} are free; make room there (slipway prune), or give it a larger "
            "volume or another folder (MODELS_ROOT)"
        )
