"""A real release, made by the export from two networks of random weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description
from tasks.models.builtin import BUILT_IN

MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))
CLASSIFIER_UNITS = (784, 256, 64, 10)
CONCEPT_UNITS = (784, 256, 128, 256, 784)


def write_network(folder: Path, units: tuple[int, ...], seed: int) -> None:
    """Write a weights.npz of random weights, as a training leaves it."""
    rng = np.random.default_rng(seed)
    weights = {}
    for layer, (inputs, outputs) in enumerate(pairwise(units), start=1):
        weights[f"kernel_{layer}"] = rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32)
        weights[f"bias_{layer}"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    folder.mkdir()
    np.savez(folder / "weights.npz", **weights)


@pytest.fixture(scope="session")
def export_inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The arguments of the export but its folder; `held_out` is uint8 (300, 28, 28)."""
    root = tmp_path_factory.mktemp("networks")
    write_network(root / "classifier", CLASSIFIER_UNITS, seed=1)
    write_network(root / "concept", CONCEPT_UNITS, seed=2)
    contrast = np.linspace(0.1, 1, 300)[:, None, None]
    held_out = np.random.default_rng(3).integers(0, 256, (300, 28, 28)) * contrast
    return {
        "model": BUILT_IN,
        "description": MNIST,
        "networks": {name: root / name for name in ("classifier", "concept")},
        "settings": {"classifier": ClassifierSettings(), "concept": ConceptSettings()},
        "held_out": held_out.astype(np.uint8),
        "false_positive_rate": 0.05,
        "facts": {"settings": {"classifier.steps": 2000}, "code": "abc"},
    }


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, export_inputs: dict[str, Any]) -> Path:
    """The folder of a release; not to be changed."""
    from tasks.release.export import export

    folder = tmp_path_factory.mktemp("release")
    export(folder, **export_inputs)
    return folder


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Images that the release has not seen, float32 (1000, 28, 28) in 0..1."""
    return np.random.default_rng(4).random((1000, 28, 28), dtype=np.float32)
