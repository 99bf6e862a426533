"""What a version answered for every set, kept as a folder of arrays.

Nothing of the machine or of the moment is in it, so asking a release twice gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

META = "meta.json"


@dataclass(frozen=True)
class SetScores:
    """The outputs of `serving_default` for the N images of one set."""

    class_ids: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float32]  # (N, 10)
    logits: NDArray[np.float32]  # (N, 10)
    score: NDArray[np.float32]  # (N,)
    in_distribution: NDArray[np.bool_]  # (N,)

    def __len__(self) -> int:
        return len(self.score)

    def outputs(self) -> dict[str, NDArray[Any]]:
        """Give the outputs by their names in the signature."""
        return {name: getattr(self, name) for name in OUTPUTS}


OUTPUTS = tuple(field.name for field in fields(SetScores))


@dataclass(frozen=True)
class Scores:
    """All that one version answered."""

    version: int
    sets: Mapping[str, SetScores]


def save_scores(folder: Path, scores: Scores) -> None:
    """Write one .npy per set and output, and the sets in their order, into an existing folder.

    The version's number is not written: the key of the scores is made of the release, whatever its number.
    """
    for name, answered in scores.sets.items():
        (folder / name).mkdir()
        for output, values in answered.outputs().items():
            np.save(folder / name / f"{output}.npy", values, allow_pickle=False)
    meta = {"sets": {name: len(answered) for name, answered in scores.sets.items()}}
    (folder / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def load_scores(folder: Path, version: int) -> Scores:
    """Read what `save_scores` wrote of the release that has this version."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    sets = {
        name: SetScores(
            **{output: np.load(folder / name / f"{output}.npy", allow_pickle=False) for output in OUTPUTS}
        )
        for name in meta["sets"]
    }
    return Scores(version, sets)
