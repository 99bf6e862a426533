"""The forms of the score against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.models.score import score
from tasks.models.trainable import VARIANCE_FLOOR, reconstruction_error


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Images and reconstructions, float32 (4, 28, 28)."""
    generator = np.random.default_rng(0)
    imgs = (
        generator.random((4, 28, 28), dtype=np.float32)
        * np.array([1, 0.5, 0.1, 0], np.float32)[:, None, None]
    )
    return imgs, generator.random((4, 28, 28), dtype=np.float32)


def test_the_error_is_the_mean_squared_one(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Both names of it give the mean over an image's pixels."""
    imgs, made = pair
    expected = ((imgs - made) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(reconstruction_error(imgs, made), expected, rtol=1e-5)
    np.testing.assert_allclose(score(imgs, made, "error"), expected, rtol=1e-5)


def test_the_normalised_score_is_the_error_over_the_variance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """The variance is that of the image's own pixels, with a floor added."""
    imgs, made = pair
    expected = ((imgs - made) ** 2).mean(axis=(1, 2)) / (imgs.var(axis=(1, 2)) + VARIANCE_FLOOR)
    np.testing.assert_allclose(score(imgs, made, "normalised"), expected, rtol=1e-4)


def test_the_coarse_score_takes_the_error_through_a_mean_of_3_by_3(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    """Differences are averaged with their neighbours, zeros around the image, before they are squared."""
    imgs, made = pair
    padded = np.pad(imgs - made, ((0, 0), (1, 1), (1, 1)))
    smooth = sum(padded[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)) / 9
    expected = (smooth**2).mean(axis=(1, 2)) / (imgs.var(axis=(1, 2)) + VARIANCE_FLOOR)
    np.testing.assert_allclose(score(imgs, made, "coarse"), expected, rtol=1e-4)


def test_the_coarse_score_forgives_an_edge_but_not_a_stroke() -> None:
    """A stroke that is missing scores higher than as much error in alternating signs."""
    imgs = np.zeros((1, 28, 28), np.float32)
    imgs[0, 10:13, 5:20] = 1
    missing = np.zeros_like(imgs)
    checkered = imgs - (np.indices((28, 28)).sum(axis=0) % 2 * 2 - 1).astype(np.float32) * imgs
    assert reconstruction_error(imgs, missing) == reconstruction_error(imgs, checkered)
    assert score(imgs, missing, "coarse") > 5 * score(imgs, checkered, "coarse")


@pytest.mark.parametrize("form", ["coarse", "normalised"])
@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_an_image_without_contrast_has_a_finite_score(form: str, grey: float) -> None:
    """Its variance is nothing; its score is its error over the floor."""
    imgs = np.full((1, 28, 28), grey, np.float32)
    made = np.full((1, 28, 28), 0.25, np.float32)
    (value,) = score(imgs, made, form).numpy()
    assert np.isfinite(value)
    assert value == pytest.approx((grey - 0.25) ** 2 / VARIANCE_FLOOR, rel=0.15)  # the rim is smoothed


@pytest.mark.parametrize("form", ["coarse", "normalised", "error"])
def test_no_image_has_no_score(form: str) -> None:
    """N = 0 is a shape like any other."""
    none = np.zeros((0, 28, 28), np.float32)
    assert score(none, none, form).shape == (0,)


@pytest.mark.parametrize("form", ["coarse", "normalised", "error"])
def test_channels_are_smoothed_each_for_itself(form: Any) -> None:
    """Three channels that are all the same score as one does."""
    generator = np.random.default_rng(0)
    rows, made = generator.random((2, 4, 9, 7, 1), dtype=np.float32)
    alone = score(rows[..., 0], made[..., 0], form).numpy()
    for channels in (1, 3):
        many = score(np.repeat(rows, channels, -1), np.repeat(made, channels, -1), form)
        np.testing.assert_allclose(many, alone, rtol=1e-5)


def test_the_coarse_score_of_a_row_without_pixels_takes_a_mean_of_three() -> None:
    """Values beside each other, with zeros at both ends."""
    generator = np.random.default_rng(0)
    rows, made = generator.random((2, 4, 12), dtype=np.float32)
    smooth = np.stack([np.convolve(each, np.ones(3) / 3, "same") for each in rows - made])
    expected = (smooth**2).mean(axis=1) / (rows.var(axis=1) + VARIANCE_FLOOR)
    np.testing.assert_allclose(score(rows, made, "coarse"), expected, rtol=1e-4)
