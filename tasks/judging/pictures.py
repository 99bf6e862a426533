"""The images that are worth a look: the worst mistakes, and the scores on the wrong side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.judging.scores import SetScores

SHOWN = 24


@dataclass(frozen=True)
class Pictures:
    """A row of images (K, 28, 28) uint8 with what is known of each; K is at most 24, and may be 0."""

    name: str
    images: NDArray[np.uint8]
    facts: list[dict[str, Any]]

    def save(self, folder: Path) -> None:
        """Write the images as NAME.npy; the facts stand in the verdict."""
        np.save(folder / f"{self.name}.npy", self.images, allow_pickle=False)


def worst_mistakes(
    images: NDArray[np.uint8], labels: NDArray[np.integer[Any]], answered: SetScores
) -> Pictures:
    """Give the wrongly classified images, the surest mistake first."""
    probability = answered.probabilities.max(axis=1)
    wrong = np.flatnonzero(answered.class_ids != labels)
    chosen = wrong[np.argsort(-probability[wrong], kind="stable")][:SHOWN]
    return _pictures("mistakes", images, answered, chosen, labels)


def highest_digits(
    images: NDArray[np.uint8], labels: NDArray[np.integer[Any]], answered: SetScores
) -> Pictures:
    """Give the test images that look least like the training data to the concept, the highest score first."""
    chosen = np.argsort(-answered.score, kind="stable")[:SHOWN]
    return _pictures("highest-digits", images, answered, chosen, labels)


def lowest_outliers(images: NDArray[np.uint8], answered: SetScores) -> Pictures:
    """Give the outliers that look most like the training data to the concept, the lowest score first."""
    chosen = np.argsort(answered.score, kind="stable")[:SHOWN]
    return _pictures("lowest-outliers", images, answered, chosen)


def _pictures(
    name: str,
    images: NDArray[np.uint8],
    answered: SetScores,
    chosen: NDArray[np.intp],
    labels: NDArray[np.integer[Any]] | None = None,
) -> Pictures:
    facts = [
        {
            "index": int(at),
            "truth": None if labels is None else int(labels[at]),
            "predicted": int(answered.class_ids[at]),
            "probability": float(answered.probabilities[at].max()),
            "score": float(answered.score[at]),
            "flagged": not bool(answered.in_distribution[at]),
        }
        for at in chosen
    ]
    return Pictures(name, np.ascontiguousarray(images[chosen]), facts)
