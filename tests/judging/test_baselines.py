from __future__ import annotations

import numpy as np
import pytest

from tasks.judging.baselines import (
    CHUNK,
    fit_principal_components,
    maximum_softmax_probability,
    mean_intensity,
)


def test_the_maximum_softmax_probability_is_low_where_the_classifier_is_sure() -> None:
    """The score is 1 - max p."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert maximum_softmax_probability(probabilities) == pytest.approx([0.1, 0.5])


def test_the_mean_intensity_is_the_share_of_ink() -> None:
    """Blank is 0, white is 1, in floats although pixels are bytes."""
    images = np.stack([np.zeros((28, 28)), np.full((28, 28), 255), np.full((28, 28), 51)]).astype(np.uint8)
    assert mean_intensity(images) == pytest.approx([0.0, 1.0, 0.2])


def test_the_error_of_principal_components_is_that_of_the_reconstruction() -> None:
    """The score is the mean squared error of projecting onto the first right singular vectors."""
    images = np.random.default_rng(1).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    others = np.random.default_rng(2).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    flat = images.reshape(300, -1) / 255
    mean = flat.mean(axis=0)
    _, _, vectors = np.linalg.svd(flat - mean, full_matrices=False)
    centred = others.reshape(40, -1) / 255 - mean
    wanted = ((centred - centred @ vectors[:64].T @ vectors[:64]) ** 2).mean(axis=1)
    assert fit_principal_components(images, 64).score(others) == pytest.approx(wanted, rel=1e-4)


def test_images_are_taken_in_chunks() -> None:
    """More images than a chunk holds are all fitted and all scored, in their order."""
    images = np.random.default_rng(3).integers(0, 256, (CHUNK + 5, 4, 4), dtype=np.uint8)
    components = fit_principal_components(images, 3)
    flat = images.reshape(len(images), -1) / 255
    assert components.mean == pytest.approx(flat.mean(axis=0), abs=1e-6)
    assert components.score(images)[-5:] == pytest.approx(components.score(images[-5:]))


def test_few_images_have_few_components() -> None:
    """Ten images span nine directions; they themselves are then reconstructed."""
    images = np.random.default_rng(4).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    components = fit_principal_components(images)
    assert components.components.shape == (784, 9)
    assert components.score(images) == pytest.approx(np.zeros(10), abs=1e-6)
