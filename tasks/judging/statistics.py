"""How well a score parts outliers from inliers, and how sure that is.

A higher score means further from the training data; outliers are the positive class. Equal scores count as
scikit-learn counts them: a tie is half a win for AUROC, and one threshold for AUPR and FPR.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

ScoreArray = NDArray[np.floating[Any]]
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A statistic with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Separation:
    """The three statistics of one detector on one pair of sets, each in 0..1."""

    auroc: float
    aupr: float
    fpr95: float


class Workspace:
    """The arrays that measuring a resample of (N,) inliers and (M,) outliers fills; for one thread at a time.

    Fresh arrays of this size are mapped and unmapped by the allocator every time, which costs three times
    as much as the arithmetic.
    """

    def __init__(self, inliers: int, outliers: int) -> None:
        self.inliers_before = np.zeros(inliers + 1)
        self.outliers_before = np.zeros(outliers + 1)
        self.weights, self.below, self.up_to, self.true_positives, self.flagged = np.empty((5, outliers))


class Ranking:
    """The scores of one detector on inliers (N,) and outliers (M,), sorted once.

    Any number of resamples of the two sets can then be measured in linear time, each given as how often
    every image occurs in it. The AUPR is the average precision, without interpolation.
    Raises ValueError when a set is empty or a score is NaN.
    """

    def __init__(self, inliers: ScoreArray, outliers: ScoreArray, name: str = "scores") -> None:
        _refuse_unusable(inliers, f"{name} of the inliers")
        _refuse_unusable(outliers, f"{name} of the outliers")
        self.inlier_order = np.argsort(inliers, kind="stable")
        self.outlier_order = np.argsort(outliers, kind="stable")
        sorted_inliers = inliers[self.inlier_order]
        sorted_outliers = outliers[self.outlier_order]
        # For each outlier, ascending: the inliers that score lower, and those that do not score higher.
        self._below = np.searchsorted(sorted_inliers, sorted_outliers, side="left")  # (M,)
        up_to = np.searchsorted(sorted_inliers, sorted_outliers, side="right")  # (M,)
        self._up_to = None if np.array_equal(up_to, self._below) else up_to
        # The first outlier of equal score: the threshold is a score, so a tie is taken whole.
        tie_start = np.searchsorted(sorted_outliers, sorted_outliers, side="left")  # (M,)
        self._tie_start = None if np.array_equal(tie_start, np.arange(len(tie_start))) else tie_start

    def measure(self) -> Separation:
        """Give the statistics of the sets themselves."""
        n, m = len(self.inlier_order), len(self.outlier_order)
        return self.measure_resample(np.ones(n), np.ones(m), Workspace(n, m))

    def measure_resample(self, inlier_counts: Counts, outlier_counts: Counts, space: Workspace) -> Separation:
        """Give the statistics of a resample, each image of which occurs as often as its count says.

        Sums of counts are whole numbers below 2**53, so floats hold them exactly.
        """
        # Index arrays are in range by construction; "clip" spares numpy the copy that "raise" makes of `out`.
        weights = np.take(outlier_counts, self.outlier_order, out=space.weights, mode="clip")  # (M,)
        np.cumsum(weights, out=space.outliers_before[1:])
        np.take(inlier_counts, self.inlier_order, out=space.inliers_before[1:], mode="clip")
        np.cumsum(space.inliers_before[1:], out=space.inliers_before[1:])
        n, m = float(space.inliers_before[-1]), float(space.outliers_before[-1])

        below = np.take(space.inliers_before, self._below, out=space.below, mode="clip")  # (M,)
        up_to = below
        if self._up_to is not None:
            up_to = np.take(space.inliers_before, self._up_to, out=space.up_to, mode="clip")
        wins_and_half_ties = (_weighted_sum(weights, below) + _weighted_sum(weights, up_to)) / 2

        # How many outliers and images are at or above the score of each outlier: (M,).
        lower = space.outliers_before[:-1]
        if self._tie_start is not None:
            lower = np.take(space.outliers_before, self._tie_start, out=space.true_positives, mode="clip")
        true_positives = np.subtract(m, lower, out=space.true_positives)
        flagged = np.subtract(n, below, out=space.flagged)
        flagged += true_positives
        # A score that the resample does not hold can flag nothing; its weight is 0, so any divisor will do.
        np.maximum(flagged, 1, out=flagged)
        precision = np.divide(true_positives, flagged, out=flagged)

        # The highest threshold at which at least 95 % of the outliers are flagged.
        at = int(np.searchsorted(space.outliers_before[1:], m - _needed(int(m), 0.95), side="right"))
        return Separation(
            auroc=wins_and_half_ties / (n * m),
            aupr=_weighted_sum(weights, precision) / m,
            fpr95=float(n - below[at]) / n,
        )


def auroc(inliers: ScoreArray, outliers: ScoreArray) -> float:
    """Give the probability that an outlier scores higher than an inlier, a tie counting half; 1 is best."""
    return Ranking(inliers, outliers).measure().auroc


def aupr(inliers: ScoreArray, outliers: ScoreArray) -> float:
    """Give the average precision with outliers as positives, 1 is best; it depends on the sets' sizes."""
    return Ranking(inliers, outliers).measure().aupr


def fpr_at_95_tpr(inliers: ScoreArray, outliers: ScoreArray) -> float:
    """Give the share of inliers flagged when at least 95 % of the outliers are; 0 is best."""
    return Ranking(inliers, outliers).measure().fpr95


def wilson(successes: float, total: int, confidence: float) -> Estimate:
    """Give a share with its score interval (Wilson, 1927), which stays within 0..1 and holds at 0 and 1.

    The successes need not be a whole number, for what is no share but varies as one does at most.
    Raises ValueError when total is not positive.
    """
    if total <= 0:
        raise ValueError(f"a share of {total} trials has no interval")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    # At the ends of the scale the interval's end is the share itself, but for the rounding.
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def _weighted_sum(weights: Counts, values: NDArray[np.float64]) -> float:
    """Give the dot product without BLAS: its threads change the order of the sum and stall a busy machine."""
    return float(np.einsum("i,i->", weights, values))


def _needed(total: int, share: float) -> int:
    """Give the smallest k with k / total >= share, as floats are divided and compared."""
    needed = math.ceil(share * total)
    while needed > 1 and (needed - 1) / total >= share:
        needed -= 1
    while needed / total < share:
        needed += 1
    return needed


def _refuse_unusable(scores: ScoreArray, name: str) -> None:
    if scores.ndim != 1 or not len(scores):
        raise ValueError(
            f"the {name} have shape {scores.shape}; at least one score, in one dimension, is needed"
        )
    missing = np.flatnonzero(np.isnan(scores))
    if len(missing):
        raise ValueError(f"{len(missing)} of {len(scores)} {name} are NaN, the first at index {missing[0]}")
