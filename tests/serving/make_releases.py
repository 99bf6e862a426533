"""Makes releases 1, 2, ... of random weights in a folder; a process of its own, as it imports TensorFlow.

python tests/serving/make_releases.py FOLDER COUNT
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description
from tasks.models.builtin import BUILT_IN
from tasks.release.export import export

NETWORKS = {"classifier": (784, 256, 64, 10), "concept": (784, 256, 128, 256, 784)}


def make_release(folder: Path, seed: int) -> None:
    """Export two networks of random weights."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for network, units in NETWORKS.items():
            weights = {}
            for layer, (inputs, outputs) in enumerate(pairwise(units), start=1):
                weights[f"kernel_{layer}"] = rng.normal(0, (2 / inputs) ** 0.5, (inputs, outputs))
                weights[f"bias_{layer}"] = rng.normal(0, 0.1, outputs)
            weights = {name: values.astype(np.float32) for name, values in weights.items()}
            (Path(scratch) / network).mkdir()
            np.savez(Path(scratch) / network / "weights.npz", **weights)
        folder.mkdir(parents=True)
        export(
            folder,
            BUILT_IN,
            Description(shape=(28, 28), classes=tuple("0123456789")),
            networks={network: Path(scratch) / network for network in NETWORKS},
            settings={"classifier": ClassifierSettings(), "concept": ConceptSettings(score="normalised")},
            held_out=rng.integers(0, 256, (200, 28, 28), dtype=np.uint8),
            false_positive_rate=0.05,
            facts={},
        )


if __name__ == "__main__":
    for version in range(1, int(sys.argv[2]) + 1):
        make_release(Path(sys.argv[1]) / str(version), seed=version)
