"""The rows that are worth a look: the worst mistakes, and the scores on the wrong side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.judging.scores import IN_DISTRIBUTION, SCORE, Outputs

SHOWN = 24


@dataclass(frozen=True)
class Pictures:
    """Some rows (K, ...) as they are stored, with what is known of each; K is at most 24, and may be 0."""

    name: str
    rows: NDArray[Any]
    facts: list[dict[str, Any]]

    def save(self, folder: Path) -> None:
        """Write the rows as NAME.npy; the facts stand in the verdict."""
        np.save(folder / f"{self.name}.npy", self.rows, allow_pickle=False)


def worst_mistakes(rows: NDArray[Any], labels: NDArray[np.integer[Any]], answered: Outputs) -> Pictures:
    """Give the wrongly classified rows, the surest mistake first."""
    probability = answered["probabilities"].max(axis=1)
    wrong = np.flatnonzero(answered["class_ids"] != labels)
    chosen = wrong[np.argsort(-probability[wrong], kind="stable")][:SHOWN]
    return _pictures("mistakes", rows, answered, chosen, labels)


def strangest(rows: NDArray[Any], labels: NDArray[np.integer[Any]], answered: Outputs) -> Pictures:
    """Give the test rows that look least like the training data to the concept, the highest score first."""
    chosen = np.argsort(-answered[SCORE], kind="stable")[:SHOWN]
    return _pictures("strangest", rows, answered, chosen, labels)


def lowest_outliers(rows: NDArray[Any], answered: Outputs) -> Pictures:
    """Give the outliers that look most like the training data to the concept, the lowest score first."""
    chosen = np.argsort(answered[SCORE], kind="stable")[:SHOWN]
    return _pictures("lowest-outliers", rows, answered, chosen)


def _pictures(
    name: str,
    rows: NDArray[Any],
    answered: Outputs,
    chosen: NDArray[np.intp],
    labels: NDArray[np.integer[Any]] | None = None,
) -> Pictures:
    facts = [
        {
            "index": int(at),
            "truth": None if labels is None else int(labels[at]),
            "predicted": int(answered["class_ids"][at]),
            "probability": float(answered["probabilities"][at].max()),
            **(
                {"score": float(answered[SCORE][at]), "flagged": not bool(answered[IN_DISTRIBUTION][at])}
                if SCORE in answered
                else {}
            ),
        }
        for at in chosen
    ]
    return Pictures(name, np.ascontiguousarray(rows[chosen]), facts)
