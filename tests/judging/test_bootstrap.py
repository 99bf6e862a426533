from __future__ import annotations

import numpy as np
import pytest

from tasks.judging.bootstrap import accuracy_difference, bootstrap, difference, draw

GENERATOR = np.random.default_rng(11)
INLIERS, OUTLIERS = GENERATOR.normal(0, 1, 400), GENERATOR.normal(1.5, 1, 300)


def one(rounds: int = 200, seed: int = 1, threads: int = 2, *, shift: float = 0.0) -> dict:
    pair = {"concept": INLIERS, "other": INLIERS + shift}, {"concept": OUTLIERS, "other": OUTLIERS}
    return bootstrap(*pair, rounds=rounds, seed=seed, threads=threads)


def test_the_seed_alone_decides() -> None:
    """One thread or three give the same rounds; another seed gives others."""
    first, second, third = one(threads=1), one(threads=3), one(seed=2)
    assert np.array_equal(first["concept"].auroc, second["concept"].auroc)
    assert np.array_equal(first["concept"].aupr, second["concept"].aupr)
    assert not np.array_equal(first["concept"].auroc, third["concept"].auroc)


def test_every_round_is_filled() -> None:
    """A number of rounds that is no multiple of a block's is filled to the last."""
    rounds = one(rounds=61)["concept"]
    assert rounds.auroc.shape == (61,)
    assert ((rounds.auroc > 0.7) & (rounds.auroc < 1)).all()
    assert ((rounds.fpr95 > 0) & (rounds.fpr95 < 1)).all()


def test_the_spread_of_auroc_is_the_known_one() -> None:
    """The rounds spread by the standard error of Hanley and McNeil (1982), within a tenth."""
    rounds = one(rounds=2_000)["concept"]
    area, n, m = rounds.measured.auroc, len(INLIERS), len(OUTLIERS)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (n * m))
    assert rounds.auroc.std() == pytest.approx(error, rel=0.1)
    interval = rounds.estimate("auroc", 0.95)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert interval.low < area < interval.high


def test_detectors_share_their_resamples() -> None:
    """A detector never differs from itself, and from a slightly worse one by less than each spreads."""
    same = one()
    assert np.array_equal(same["concept"].auroc, same["other"].auroc)
    worse = one(shift=0.1)
    paired = difference(worse["other"], worse["concept"], "auroc", 0.95)
    alone = worse["concept"].estimate("auroc", 0.95)
    assert paired.high < 0
    assert paired.high - paired.low < (alone.high - alone.low) / 4


def test_perfect_scores_have_no_width() -> None:
    """Sets that do not overlap in any round have AUROC 1 in all of them."""
    rounds = bootstrap({"concept": INLIERS}, {"concept": OUTLIERS + 50}, rounds=30, seed=1)["concept"]
    assert rounds.estimate("auroc", 0.95) == rounds.estimate("aupr", 0.95)
    assert (rounds.auroc == 1).all()
    assert (rounds.fpr95 == 0).all()


def test_a_draw_has_as_many_images_as_the_set() -> None:
    """Images are drawn with replacement: about 1/e of them never."""
    counts = draw(np.random.default_rng(1), 70_000)
    assert counts.shape == (70_000,)
    assert counts.sum() == 70_000
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.01)


def test_detectors_have_to_score_the_same_images() -> None:
    """Different numbers of scores, or different detectors, cannot be paired."""
    with pytest.raises(ValueError, match="different sizes"):
        bootstrap({"a": INLIERS, "b": INLIERS[1:]}, {"a": OUTLIERS, "b": OUTLIERS}, rounds=10, seed=1)
    with pytest.raises(ValueError, match="detectors"):
        bootstrap({"a": INLIERS}, {"b": OUTLIERS}, rounds=10, seed=1)


def test_scores_that_are_not_numbers_name_their_detector() -> None:
    """NaN is refused with the name of the detector that gave it."""
    with pytest.raises(ValueError, match=r"1 of 300 scores by pca-64 of the outliers are NaN"):
        bootstrap({"pca-64": INLIERS}, {"pca-64": np.append(OUTLIERS[1:], np.nan)}, rounds=10, seed=1)


def test_the_difference_of_accuracies_is_that_of_drawn_images() -> None:
    """The multinomial draw spreads as drawing the images does, and is centred on what was measured."""
    generator = np.random.default_rng(2)
    correct, over = generator.random(2_000) < 0.96, generator.random(2_000) < 0.95
    found = accuracy_difference(correct, over, rounds=4_000, seed=1, confidence=0.95)
    drawn = generator.integers(0, 2_000, (4_000, 2_000))
    each = correct.astype(float) - over
    low, high = np.quantile(each[drawn].mean(axis=1), [0.025, 0.975])
    assert found.value == pytest.approx(correct.mean() - over.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0015)


def test_equal_classifiers_do_not_differ() -> None:
    """A classifier is not better than itself, in any round."""
    correct = np.arange(100) % 7 > 0
    assert accuracy_difference(correct, correct, rounds=50, seed=1, confidence=0.9).high == 0
