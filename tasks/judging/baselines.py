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

Images = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

CHUNK = 4_096  # images that are floats at one time: 13 MB


def maximum_softmax_probability(probabilities: Floats) -> Floats:
    """Give 1 - max p of the classifier's probabilities (N, 10): (N,) (Hendrycks and Gimpel, 2017)."""
    highest: Floats = probabilities.max(axis=1)
    return 1 - highest


def mean_intensity(images: Images) -> Floats:
    """Give the mean pixel of each image, 0..1: (N,). Higher, more ink, counts as further from the data."""
    mean: Floats = images.reshape(len(images), -1).mean(axis=1)
    return mean / 255


@dataclass(frozen=True)
class PrincipalComponents:
    """The mean and the first components of the training images."""

    mean: NDArray[np.float32]  # (784,)
    components: NDArray[np.float32]  # (784, K), orthonormal columns

    def score(self, images: Images) -> Floats:
        """Give the mean squared error of each image's reconstruction from its K components: (N,)."""
        return np.concatenate([self._score(_flat(part)) for part in _chunks(images)])

    def _score(self, flat: NDArray[np.float32]) -> Floats:
        centred = flat - self.mean  # (n, 784)
        coordinates = centred @ self.components  # (n, K)
        # The components are orthonormal: what they do not hold of the image is the error.
        missing = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", coordinates, coordinates)
        error: Floats = np.maximum(missing, 0) / centred.shape[1]
        return error


def fit_principal_components(images: Images, count: int = 64) -> PrincipalComponents:
    """Fit the components of highest variance by the eigenvectors of the covariance of all images (N, 28, 28).

    Fewer than `count` where there are no more images than that.
    """
    pixels = int(np.prod(images.shape[1:]))
    total, products = np.zeros(pixels), np.zeros((pixels, pixels))
    for part in _chunks(images):
        flat = _flat(part)
        total += flat.sum(axis=0, dtype=np.float64)
        products += flat.T @ flat
    mean = total / len(images)
    covariance = products / len(images) - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)  # ascending by variance
    kept = min(count, len(images) - 1)
    components = vectors[:, pixels - kept :].astype(np.float32)
    return PrincipalComponents(mean.astype(np.float32), components)


def _flat(images: Images) -> NDArray[np.float32]:
    return scale(images).reshape(len(images), -1)


def _chunks(images: Images) -> list[Images]:
    return [images[start : start + CHUNK] for start in range(0, max(len(images), 1), CHUNK)]
