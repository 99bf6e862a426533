from __future__ import annotations

import numpy as np
import pytest

from tasks.judging import measures


def test_the_confusion_has_the_true_class_in_rows() -> None:
    """A 3 taken for a 5 stands in row 3, column 5; a class that does not occur has no accuracy."""
    table = measures.confusion(np.array([3, 3, 5], np.uint8), np.array([5, 3, 5]), 10)
    assert (table[3, 5], table[3, 3], table[5, 5], table.sum()) == (1, 1, 1, 3)
    classes = measures.per_class(table, 0.95)
    assert [(each["class"], each["images"], each["accuracy"]["value"]) for each in classes] == [
        (3, 2, 0.5),
        (5, 1, 1.0),
    ]


def test_histograms_share_their_bins() -> None:
    """Scores far apart are drawn on a logarithmic axis that holds the threshold, and none is lost."""
    generator = np.random.default_rng(1)
    scores = {"test": generator.uniform(0.01, 0.02, 500), "letters": generator.uniform(1, 2, 300)}
    found = measures.histograms(scores, threshold=5.0)
    assert found["scale"] == "logarithmic"
    assert found["edges"][0] == pytest.approx(0.01, rel=0.01)
    assert found["edges"][-1] == pytest.approx(5.0)
    assert [sum(counts) for counts in found["counts"].values()] == [500, 300]
    assert all(len(counts) == measures.BINS == len(found["edges"]) - 1 for counts in found["counts"].values())


@pytest.mark.parametrize("threshold", [0.0, 0.25, 3.0])
def test_constant_scores_have_a_histogram(threshold: float) -> None:
    """One value, and a threshold anywhere, zero included."""
    found = measures.histograms({"test": np.full(10, 0.25)}, threshold)
    assert sum(found["counts"]["test"]) == 10
    assert (np.diff(found["edges"]) > 0).all()
