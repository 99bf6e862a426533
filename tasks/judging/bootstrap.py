"""Intervals by the bootstrap: the sets are drawn again, with replacement, and measured again.

Inliers and outliers are drawn each for themselves, so their numbers stay. Detectors that are measured in one
call share every draw: the differences between them are paired, and free of what the draw does to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.judging.statistics import Counts, Estimate, Ranking, ScoreArray, Separation, Workspace

# Each block has its own seed, so the result does not depend on how many threads share the blocks.
BLOCK_ROUNDS = 25


@dataclass(frozen=True)
class Rounds:
    """The statistics of one detector in every round of the bootstrap, each (rounds,) float64."""

    measured: Separation
    auroc: NDArray[np.float64]
    aupr: NDArray[np.float64]
    fpr95: NDArray[np.float64]

    def estimate(self, statistic: str, confidence: float) -> Estimate:
        """Give `auroc`, `aupr` or `fpr95` as measured, with its percentile interval."""
        return percentile_interval(getattr(self.measured, statistic), getattr(self, statistic), confidence)


def bootstrap(
    inliers: Mapping[str, ScoreArray],
    outliers: Mapping[str, ScoreArray],
    *,
    rounds: int,
    seed: int,
    threads: int = 2,
) -> dict[str, Rounds]:
    """Give the statistics of each detector in `rounds` resamples that all detectors share.

    `inliers` and `outliers` map a detector's name to its scores, (N,) and (M,), of the same images in the
    same order. Equal arguments give equal results, whatever the number of threads.
    Raises ValueError when the sets' sizes differ between detectors, or a score is NaN.
    """
    if inliers.keys() != outliers.keys() or not inliers:
        raise ValueError(
            f"detectors of the inliers are {sorted(inliers)}, of the outliers {sorted(outliers)}"
        )
    sizes = {(len(inliers[name]), len(outliers[name])) for name in inliers}
    if len(sizes) != 1:
        raise ValueError(f"the detectors scored sets of different sizes: {sorted(sizes)}")
    [(n, m)] = sizes
    rankings = {name: Ranking(inliers[name], outliers[name], f"scores by {name}") for name in inliers}
    results = {name: np.empty((rounds, 3), np.float64) for name in rankings}

    def run_block(first: int, seeds: np.random.SeedSequence) -> None:
        generator, space = np.random.default_rng(seeds), Workspace(n, m)
        for at in range(first, min(first + BLOCK_ROUNDS, rounds)):
            inlier_counts, outlier_counts = draw(generator, n), draw(generator, m)
            for name, ranking in rankings.items():
                found = ranking.measure_resample(inlier_counts, outlier_counts, space)
                results[name][at] = found.auroc, found.aupr, found.fpr95

    starts = range(0, rounds, BLOCK_ROUNDS)
    with ThreadPoolExecutor(threads) as pool:  # numpy frees the interpreter's lock in all that is long here
        list(pool.map(run_block, starts, np.random.SeedSequence(seed).spawn(len(starts))))
    return {
        name: Rounds(ranking.measure(), *(results[name][:, column] for column in range(3)))
        for name, ranking in rankings.items()
    }


def draw(generator: np.random.Generator, size: int) -> Counts:
    """Draw `size` of `size` images with replacement; give how often each was drawn: (size,)."""
    drawn = generator.integers(0, size, size, dtype=np.uint32)
    return np.bincount(drawn, minlength=size).astype(np.float64)


def difference(of: Rounds, over: Rounds, statistic: str, confidence: float) -> Estimate:
    """Give how much higher a statistic of one detector is than another's, with the paired interval."""
    measured = getattr(of.measured, statistic) - getattr(over.measured, statistic)
    return percentile_interval(measured, getattr(of, statistic) - getattr(over, statistic), confidence)


def accuracy_difference(
    correct: NDArray[np.bool_], over: NDArray[np.bool_], *, rounds: int, seed: int, confidence: float
) -> Estimate:
    """Give how much more often one classifier is right than another on the same images, with its interval.

    A resample of the images is a multinomial draw of who alone was right, so no image has to be drawn.
    """
    n = len(correct)
    better, worse = int(np.sum(correct & ~over)), int(np.sum(over & ~correct))
    drawn = np.random.default_rng(seed).multinomial(
        n, [better / n, worse / n, (n - better - worse) / n], rounds
    )
    return percentile_interval((better - worse) / n, (drawn[:, 0] - drawn[:, 1]) / n, confidence)


def percentile_interval(value: float, rounds: NDArray[np.float64], confidence: float) -> Estimate:
    """Give the value with the range of the middle `confidence` of the rounds (Efron, 1981)."""
    low, high = np.quantile(rounds, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(value), float(low), float(high))
