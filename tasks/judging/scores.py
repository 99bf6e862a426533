"""What a version answered for every set, and how long it took; kept as a folder of arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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
class Latency:
    """How long requests of `batch` images took, sent one after the other, as the client sees it."""

    batch: int
    requests: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Scores:
    """All that one version answered."""

    version: int
    sets: Mapping[str, SetScores]
    latency: tuple[Latency, ...] = ()


def save_scores(folder: Path, scores: Scores) -> None:
    """Write one .npy per set and output, and the rest as meta.json, into an existing folder."""
    for name, answered in scores.sets.items():
        (folder / name).mkdir()
        for output, values in answered.outputs().items():
            np.save(folder / name / f"{output}.npy", values, allow_pickle=False)
    meta = {
        "version": scores.version,
        "sets": {name: len(answered) for name, answered in scores.sets.items()},
        "latency": [asdict(latency) for latency in scores.latency],
    }
    (folder / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def load_scores(folder: Path) -> Scores:
    """Read what `save_scores` wrote."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    sets = {
        name: SetScores(
            **{output: np.load(folder / name / f"{output}.npy", allow_pickle=False) for output in OUTPUTS}
        )
        for name in meta["sets"]
    }
    return Scores(meta["version"], sets, tuple(Latency(**latency) for latency in meta["latency"]))
