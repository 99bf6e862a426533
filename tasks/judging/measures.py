"""The figures of a verdict: accuracy by class, detectors by set, the histograms of the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.judging.baselines import (
    PrincipalComponents,
    maximum_softmax_probability,
    mean_intensity,
)
from tasks.judging.scores import IN_DISTRIBUTION, SCORE, Outputs, rows_in
from tasks.judging.statistics import Estimate, ScoreArray, wilson

CONCEPT = "concept"
TRIVIAL = ("max-softmax", "mean-intensity", "pca")
BINS = 60
# A histogram whose scores spread over more than this factor is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 20.0


def judged_against(verdict: Mapping[str, Any]) -> str:
    """Say which outliers a verdict or receipt looks at, and which were wanted."""
    primary = verdict["primary"]
    if not primary["set"]:
        return "judged by what it classifies: the model gives no score"
    said = f"judged against {primary['set']}"
    if primary.get("made"):
        said += ", which is made: no outliers were given"
    if primary["set"] == primary["wanted"]:
        return said
    return f"{said}; {primary['wanted']} was wanted and could not be had"


def detector_scores(
    answered: Outputs, rows: NDArray[Any], components: PrincipalComponents
) -> dict[str, ScoreArray]:
    """Give the scores of the model and of each trivial detector for the rows of one set: (N,) each."""
    return {
        CONCEPT: answered[SCORE],
        "max-softmax": maximum_softmax_probability(answered["probabilities"]),
        "mean-intensity": mean_intensity(rows),
        "pca": components.score(rows),
    }


def flagged(answered: Outputs, confidence: float) -> Estimate:
    """Give the share of a set that the release calls out of distribution."""
    return wilson(int(np.sum(~answered[IN_DISTRIBUTION])), rows_in(answered), confidence)


def confusion(
    labels: NDArray[np.integer[Any]], class_ids: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Give how often each class (row) was taken for each class (column): (classes, classes)."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (labels.astype(np.int64), class_ids), 1)
    return table


def per_class(table: NDArray[np.int64], confidence: float) -> list[dict[str, Any]]:
    """Give the rows, the accuracy and its interval of each class that occurs."""
    return [
        {
            "class": number,
            "images": int(row.sum()),
            "accuracy": asdict(wilson(int(row[number]), int(row.sum()), confidence)),
        }
        for number, row in enumerate(table)
        if row.sum()
    ]


def histograms(scores: Mapping[str, ScoreArray], threshold: float) -> dict[str, Any]:
    """Give how the scores of each set spread over bins that all sets share.

    The bins hold all but the outermost thousandth at each end, which the first and last bin take.
    """
    everything = np.concatenate(list(scores.values())).astype(np.float64)
    low, high = np.quantile(everything, [0.001, 0.999])
    low, high = min(float(low), threshold), max(float(high), threshold)
    logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    return {
        "scale": "logarithmic" if logarithmic else "linear",
        "edges": edges.tolist(),
        "counts": {
            name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
            for name, values in scores.items()
        },
    }
