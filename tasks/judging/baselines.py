"""Trivial detectors: what a concept has to be worth more than. Each gives a score, higher for outliers.

None of them has seen an outlier. In particular the direction of the mean intensity is fixed beforehand: one
that is chosen after looking at the outliers would be right every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.pixels import scale

Rows = NDArray[Any]
Floats = NDArray[np.floating[Any]]

LARGE = 1_024  # values of a row, above which the covariance takes too long
SPARE, ITERATIONS = 16, 6
CHUNK = 4_096  # rows that are floats at one time: 13 MB of MNIST's


def maximum_softmax_probability(probabilities: Floats) -> Floats:
    """Give 1 - max p of the classifier's probabilities (N, classes): (N,) (Hendrycks and Gimpel, 2017)."""
    highest: Floats = probabilities.max(axis=1)
    return 1 - highest


def mean_intensity(rows: Rows) -> Floats:
    """Give the mean value of each row, of uint8 in 0..1: (N,). Higher, more ink, counts as further away."""
    mean: Floats = rows.reshape(len(rows), -1).mean(axis=1)
    return mean / 255 if rows.dtype == np.uint8 else mean


@dataclass(frozen=True)
class PrincipalComponents:
    """The mean and the first components of the training rows."""

    mean: NDArray[np.float32]  # (values,)
    components: NDArray[np.float32]  # (values, K), orthonormal columns

    def score(self, rows: Rows) -> Floats:
        """Give the mean squared error of each row's reconstruction from its K components: (N,)."""
        return np.concatenate([self._score(_flat(part)) for part in _chunks(rows)])

    def _score(self, flat: NDArray[np.float32]) -> Floats:
        centred = flat - self.mean  # (n, values)
        coordinates = centred @ self.components  # (n, K)
        # The components are orthonormal: what they do not hold of the row is the error.
        missing = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", coordinates, coordinates)
        error: Floats = np.maximum(missing, 0) / centred.shape[1]
        return error


def fit_principal_components(rows: Rows, count: int = 64) -> PrincipalComponents:
    """Fit the components of highest variance of all rows (N, ...): `count`, at most half of a row's values.

    Fewer where there are no more rows than that.
    """
    values = int(np.prod(rows.shape[1:]))
    kept = max(1, min(count, len(rows) - 1, values // 2))
    mean = sum(_flat(part).sum(axis=0, dtype=np.float64) for part in _chunks(rows)) / len(rows)
    if values > LARGE:
        components = _by_iteration(rows, mean, kept)
    else:
        products = np.zeros((values, values))
        for part in _chunks(rows):
            flat = _flat(part)
            products += flat.T @ flat
        covariance = products / len(rows) - np.outer(mean, mean)
        _, vectors = np.linalg.eigh(covariance)  # ascending by variance
        components = vectors[:, values - kept :]
    return PrincipalComponents(mean.astype(np.float32), components.astype(np.float32))


def _by_iteration(rows: Rows, mean: NDArray[np.float64], kept: int) -> NDArray[np.float32]:
    """Give about the same components (values, kept) where the eigenvectors would take minutes.

    By subspace iteration from random directions (Halko, Martinsson and Tropp, 2011, algorithm 4.4).
    """
    centre = mean.astype(np.float32)
    basis = np.random.default_rng(0).standard_normal((len(mean), kept + SPARE), dtype=np.float32)
    for _ in range(ITERATIONS):
        basis, _ = np.linalg.qr(basis)
        spread = np.zeros_like(basis)
        for part in _chunks(rows):
            centred = _flat(part) - centre
            spread += centred.T @ (centred @ basis)
        basis = spread
    left, _, _ = np.linalg.svd(basis, full_matrices=False)  # descending by variance
    components: NDArray[np.float32] = left[:, :kept]
    return components


def _flat(rows: Rows) -> NDArray[np.float32]:
    return scale(rows).reshape(len(rows), -1)


def _chunks(rows: Rows) -> list[Rows]:
    return [rows[start : start + CHUNK] for start in range(0, max(len(rows), 1), CHUNK)]
