"""The threshold on the scores of held-out images."""

from __future__ import annotations

import numpy as np
import pytest

from settings.errors import WrongInput
from tasks.release.threshold import choose_threshold


@pytest.mark.parametrize(
    ("count", "rate", "flagged"),
    [(5000, 0.01, 50), (100, 0.29, 29), (100, 0.57, 57), (150, 0.01, 1), (99, 0.01, 0), (10, 0.999, 9)],
)
def test_share_flagged(count: int, rate: float, flagged: int) -> None:
    """As many of distinct scores are flagged as the rate allows, and never more."""
    scores = np.random.default_rng(1).permutation(count).astype(np.float32)
    assert np.count_nonzero(scores > choose_threshold(scores, rate)) == flagged
    assert flagged / count <= rate


def test_is_the_quantile() -> None:
    """It is the quantile that numpy calls inverted_cdf."""
    scores = np.random.default_rng(2).gamma(2, 1, 1000).astype(np.float32)
    for rate in (0.003, 0.125, 0.5):
        threshold = choose_threshold(scores, rate)
        assert threshold == np.quantile(scores, 1 - rate, method="inverted_cdf")
        assert threshold.dtype == np.float32


def test_equal_scores() -> None:
    """Scores equal to the threshold are not flagged, so that the rate holds with ties too."""
    scores = np.array([1, 2, 2, 2], np.float32)
    assert choose_threshold(scores, 0.5) == 2


@pytest.mark.parametrize("scores", [np.array([1, np.nan], np.float32), np.array([np.inf, 1], np.float32)])
def test_not_finite(scores: np.ndarray) -> None:
    """Scores that are not finite are refused, with their number."""
    with pytest.raises(WrongInput, match="1 of 2 scores of held-out rows are not finite"):
        choose_threshold(scores, 0.1)


def test_no_images() -> None:
    """Without held-out images there is no threshold, and the setting is named."""
    with pytest.raises(WrongInput, match=r"data\.held_out"):
        choose_threshold(np.zeros(0, np.float32), 0.1)
