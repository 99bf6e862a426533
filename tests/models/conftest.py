"""Small images with something to learn, and the settings of a training that takes a moment."""

from __future__ import annotations

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


@pytest.fixture
def classifier_settings() -> ClassifierSettings:
    return ClassifierSettings(**_QUICK)


@pytest.fixture
def concept_settings() -> ConceptSettings:
    return ConceptSettings(**_QUICK)


# 40 steps of 32 images: more than four epochs, with a batch across the end of each.
_QUICK: dict[str, Any] = {"steps": 40, "batch_size": 32, "learning_rate": 3e-3, "display_steps": 15}
