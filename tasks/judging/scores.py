"""What a version answered for every set, kept as a folder of arrays.

Nothing of the machine or of the moment is in it, so asking a release twice gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

META = "meta.json"


Outputs = Mapping[str, NDArray[Any]]
"""The outputs of `serving_default` for the N rows of one set, by name."""

SCORE, IN_DISTRIBUTION = "score", "in_distribution"


@dataclass(frozen=True)
class Scores:
    """All that one version answered."""

    version: int
    sets: Mapping[str, Outputs]


def rows_in(outputs: Outputs) -> int:
    """Give the number of rows that the outputs are for."""
    return len(next(iter(outputs.values()), ()))


def save_scores(folder: Path, scores: Scores) -> None:
    """Write one .npy per set and output, and the sets in their order, into an existing folder.

    The version's number is not written: the key of the scores is made of the release, whatever its number.
    """
    for name, outputs in scores.sets.items():
        (folder / name).mkdir()
        for output, values in outputs.items():
            np.save(folder / name / f"{output}.npy", values, allow_pickle=False)
    meta = {"sets": {name: rows_in(outputs) for name, outputs in scores.sets.items()}}
    (folder / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def load_scores(folder: Path, version: int) -> Scores:
    """Read what `save_scores` wrote of the release that has this version."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    sets = {
        name: {path.stem: np.load(path, allow_pickle=False) for path in sorted((folder / name).glob("*.npy"))}
        for name in meta["sets"]
    }
    return Scores(version, sets)
