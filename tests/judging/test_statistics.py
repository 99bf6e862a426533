from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from tasks.judging.statistics import Ranking, Workspace, aupr, auroc, fpr_at_95_tpr, wilson

GENERATOR = np.random.default_rng(3)
PAIRS = {
    "separated": (GENERATOR.normal(0, 1, 700), GENERATOR.normal(3, 1, 900)),
    "mixed": (GENERATOR.normal(0, 1, 500), GENERATOR.normal(0.2, 2, 300)),
    "heavy ties": (GENERATOR.integers(0, 4, 800) / 4, GENERATOR.integers(1, 6, 500) / 4),
    "constant": (np.full(60, 0.5), np.full(40, 0.5)),
    "constant outliers": (GENERATOR.normal(0, 1, 300), np.zeros(100)),
    "perfect": (np.arange(50.0), np.arange(50.0, 90.0)),
    "inverted": (np.arange(50.0, 90.0), np.arange(50.0)),
    "single images": (np.array([1.0]), np.array([2.0])),
    "single precision": (
        GENERATOR.normal(0, 1, 400).astype(np.float32),
        GENERATOR.normal(1, 1, 333).astype(np.float32),
    ),
    "infinite": (np.array([0.0, 1.0, np.inf]), np.array([0.5, np.inf])),
}


def by_scikit_learn(inliers: np.ndarray, outliers: np.ndarray) -> tuple[float, float, float]:
    """AUROC, AUPR and FPR at 95 % TPR; scikit-learn refuses infinite scores, so these are made finite."""
    scores = np.concatenate([inliers, outliers])
    scores = np.where(np.isinf(scores), 1e30, scores)
    labels = np.repeat([0, 1], [len(inliers), len(outliers)])
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return (
        roc_auc_score(labels, scores),
        average_precision_score(labels, scores),
        fpr[np.argmax(tpr >= 0.95)],
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_statistics_are_those_of_scikit_learn(pair: str) -> None:
    """AUROC, AUPR and FPR at 95 % TPR are scikit-learn's, ties and constant scores included."""
    inliers, outliers = PAIRS[pair]
    found = auroc(inliers, outliers), aupr(inliers, outliers), fpr_at_95_tpr(inliers, outliers)
    assert found == pytest.approx(by_scikit_learn(inliers, outliers), abs=1e-12)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_resample_is_measured_as_if_its_images_were_written_out(pair: str) -> None:
    """Counts per image give what scikit-learn gives for the images repeated so often, some of them never."""
    inliers, outliers = PAIRS[pair]
    ranking, space = Ranking(inliers, outliers), Workspace(len(inliers), len(outliers))
    generator = np.random.default_rng(5)
    for _ in range(5):
        drawn_in = np.bincount(generator.integers(0, len(inliers), len(inliers)), minlength=len(inliers))
        drawn_out = np.bincount(generator.integers(0, len(outliers), len(outliers)), minlength=len(outliers))
        found = ranking.measure_resample(drawn_in.astype(float), drawn_out.astype(float), space)
        wanted = by_scikit_learn(np.repeat(inliers, drawn_in), np.repeat(outliers, drawn_out))
        assert (found.auroc, found.aupr, found.fpr95) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("outliers", range(1, 60))
def test_the_threshold_of_95_percent_is_right_for_every_number_of_outliers(outliers: int) -> None:
    """0.95 times a count is not always what a float makes of it: 19 of 20 outliers are enough."""
    pair = np.arange(100.0), np.linspace(0, 120, outliers)
    assert fpr_at_95_tpr(*pair) == by_scikit_learn(*pair)[2]


def test_scores_that_are_not_numbers_are_refused() -> None:
    """NaN has no rank: the error says how many there are and where the first one is."""
    scores = np.array([0.0, np.nan, 1.0, np.nan])
    with pytest.raises(ValueError, match=r"2 of 4 concept of the outliers are NaN, the first at index 1"):
        Ranking(np.zeros(3), scores, "concept")


@pytest.mark.parametrize("scores", [np.zeros(0), np.zeros((2, 2))])
def test_no_scores_are_refused(scores: np.ndarray) -> None:
    """Statistics of an empty set, or of a table, are an error that names the shape."""
    with pytest.raises(ValueError, match="at least one score"):
        auroc(scores, np.zeros(3))


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (10, 10), (1, 1), (9_832, 10_000), (250, 500)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_of_a_share_is_wilsons(successes: int, total: int, confidence: float) -> None:
    """The interval is SciPy's Wilson interval without continuity correction, and holds the share."""
    found = wilson(successes, total, confidence)
    wanted = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert found.low <= found.value == successes / total <= found.high


def test_a_share_of_nothing_is_refused() -> None:
    """No trials, no interval."""
    with pytest.raises(ValueError, match="0 trials"):
        wilson(0, 0, 0.95)
