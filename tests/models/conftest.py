"""Small images with something to learn, and the settings of a training that takes a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from settings.hyperparameters import ClassifierSettings, ConceptSettings

Images = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def labelled() -> tuple[Images, Images]:
    """300 images (300, 28, 28) of ten blotchy shapes with noise, and which shape each shows (300,)."""
    generator = np.random.default_rng(7)
    shapes = generator.integers(0, 2, (10, 7, 7)).repeat(4, axis=1).repeat(4, axis=2) * 200
    labels = generator.integers(0, 10, 300).astype(np.uint8)
    return (shapes[labels] + generator.integers(0, 56, (300, 28, 28))).astype(np.uint8), labels


@pytest.fixture(scope="session")
def dataset(labelled: tuple[Images, Images], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dataset of these images, with a hundred black ones behind that are held out."""
    folder = tmp_path_factory.mktemp("dataset")
    images, labels = labelled
    np.save(folder / "train-images.npy", np.concatenate([images, np.zeros((100, 28, 28), np.uint8)]))
    np.save(folder / "train-labels.npy", np.concatenate([labels, np.zeros(100, np.uint8)]))
    return folder


@pytest.fixture
def classifier_settings() -> ClassifierSettings:
    return ClassifierSettings(**_QUICK)


@pytest.fixture
def concept_settings() -> ConceptSettings:
    return ConceptSettings(**_QUICK)


# 40 steps of 32 images: more than four epochs, with a batch across the end of each.
_QUICK: dict[str, Any] = {"steps": 40, "batch_size": 32, "learning_rate": 3e-3, "display_steps": 15}
