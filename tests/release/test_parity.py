"""When two sets of answers count as the same."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.release.parity import Answers, Parity, compare

RTOL, THRESHOLD = 1e-4, 2.0
SCALES = {"logits": 0.5, "score": 0.25}


@pytest.fixture
def reference() -> dict[str, np.ndarray]:
    """Three rows: a clear one, one whose two best logits tie, one whose score is the threshold."""
    return {
        "logits": np.array([[5, 1, 0], [3, 3, 0], [0, 1, 9]], np.float32),
        "class_ids": np.array([0, 0, 2], np.int64),
        "score": np.array([1, 3, 2], np.float32),
        "in_distribution": np.array([True, False, True]),
    }


def against(reference: Answers, **changed: np.ndarray) -> Parity:
    return compare({**reference, **changed}, reference, rtol=RTOL, scales=SCALES, threshold=THRESHOLD)


def test_equal(reference: dict[str, np.ndarray]) -> None:
    """Equal answers agree and use nothing of the tolerance."""
    parity = against(reference)
    assert parity.agree
    assert parity.used == {"logits": 0.0, "score": 0.0}
    assert str(parity) == "3 rows agree, using 0.0% of the tolerance"


def test_within_tolerance(reference: dict[str, np.ndarray]) -> None:
    """Floats may differ by a share of the reference and of the output's scale; how much is used is told."""
    score = reference["score"] + np.array([0, 0.5 * RTOL * (3 + 0.25), 0], np.float32)
    parity = against(reference, score=score)
    assert parity.agree
    assert parity.used["score"] == pytest.approx(0.5, abs=0.01)
    assert parity.largest_used == parity.used["score"]


def test_beyond_tolerance(reference: dict[str, np.ndarray]) -> None:
    """A float further off is a difference that names output, rows and values."""
    logits = reference["logits"].copy()
    logits[1, 2] = 2 * RTOL * 0.5
    logits[2] = 8
    parity = against(reference, logits=logits)
    (difference,) = parity.differences
    assert (difference.output, difference.rows, difference.first) == ("logits", 2, 1)
    assert str(difference).startswith("logits: 2 of 3 rows differ, first row 1: 1e-04 and not 0.0")
    assert parity.largest_used > 1000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(reference: dict[str, np.ndarray], value: float) -> None:
    """A value that is not finite never agrees, not even with itself."""
    score = np.array([1, 3, value], np.float32)
    assert against(reference, score=score).used["score"] == np.inf
    both = {"score": score}
    assert not compare(both, both, rtol=RTOL, scales=SCALES, threshold=THRESHOLD).agree


def test_a_scale_that_is_no_number(reference: dict[str, np.ndarray]) -> None:
    """It lets nothing pass."""
    other = {"score": reference["score"] + 1}
    assert not compare(other, reference | other, rtol=RTOL, scales={"score": np.nan}, threshold=None).agree


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def tied() -> dict[str, np.ndarray]:
    """Large logits that nearly tie, and their probabilities."""
    logits = np.array([[9_000, 9_000.1, -9_000], [-9_000, 9_000, 0]], np.float32)
    return {"logits": logits, "probabilities": softmax(logits)}


def test_probabilities_near_a_tie(tied: dict[str, np.ndarray]) -> None:
    """They may be far apart where the logits are not, and follow from the logits that they come with."""
    logits = tied["logits"] + np.array([[0.5, 0, 0], [0, 0, 0.5]], np.float32)
    answers = {"logits": logits, "probabilities": softmax(logits)}
    assert np.abs(answers["probabilities"] - tied["probabilities"]).max() > 0.1
    parity = compare(answers, tied, rtol=RTOL, scales={"logits": 9_000.0}, threshold=None)
    assert parity.agree, parity


@pytest.mark.parametrize("change", [0.5, 1.001, 1 / 1.001])
def test_probabilities_that_are_not_the_softmax(tied: dict[str, np.ndarray], change: float) -> None:
    """They are a difference, however near the logits are."""
    answers = {**tied, "probabilities": tied["probabilities"] * np.float32(change)}
    (difference,) = compare(answers, tied, rtol=RTOL, scales=SCALES, threshold=None).differences
    assert (difference.output, difference.rows) == ("probabilities", 2)


def test_probabilities_of_another_kind(tied: dict[str, np.ndarray]) -> None:
    """Where the reference's do not follow from logits, the reference's and their scale count."""
    for name, wanted in (("alone", {}), ("of a temperature", {"logits": tied["logits"] / 1_000})):
        reference = {"probabilities": tied["probabilities"], **wanted}
        near = {**reference, "probabilities": tied["probabilities"] + np.float32(0.5 * RTOL)}
        scales = {**SCALES, "probabilities": 0.9}
        assert compare(near, reference, rtol=RTOL, scales=scales, threshold=None).agree, name
        assert not compare(near, reference, rtol=RTOL, scales=SCALES, threshold=None).agree, name


def test_class_at_a_tie(reference: dict[str, np.ndarray]) -> None:
    """The class may be the other one of two whose logits tie, and no third."""
    assert against(reference, class_ids=np.array([0, 1, 2])).agree
    assert not against(reference, class_ids=np.array([0, 2, 2])).agree


@pytest.mark.parametrize(("gap", "agree"), [(1.9, True), (2.1, False)])
def test_distance_of_a_tie(gap: float, agree: bool) -> None:
    """Two logits tie where each can reach the other within its own tolerance."""
    best = 3.0
    second = best - gap * RTOL * (best + 0.5)
    reference = {"logits": np.array([[best, second]]), "class_ids": np.array([0])}
    answers = {**reference, "class_ids": np.array([1])}
    assert compare(answers, reference, rtol=RTOL, scales=SCALES, threshold=None).agree == agree


def test_class_off_a_tie(reference: dict[str, np.ndarray]) -> None:
    """Another class than the clear one is a difference, also one that does not exist."""
    for wrong in (1, -1, 3):
        (difference,) = against(reference, class_ids=np.array([wrong, 0, 2])).differences
        assert (difference.output, difference.rows, difference.first) == ("class_ids", 1, 0)


def test_class_without_logits(reference: dict[str, np.ndarray]) -> None:
    """Without logits to see a tie by, the class has to be equal."""
    only = {"class_ids": reference["class_ids"]}
    assert not compare({"class_ids": np.array([0, 1, 2])}, only, rtol=1, scales={}, threshold=None).agree


def test_flag_at_the_threshold(reference: dict[str, np.ndarray]) -> None:
    """The flag may differ where the score is at the threshold, and nowhere else."""
    assert against(reference, in_distribution=np.array([True, False, False])).agree
    assert not against(reference, in_distribution=np.array([False, False, True])).agree
    flipped = {**reference, "in_distribution": np.array([True, False, False])}
    assert not compare(flipped, reference, rtol=RTOL, scales=SCALES, threshold=None).agree


def test_missing_and_misshapen(reference: dict[str, np.ndarray]) -> None:
    """A missing output, another type and another shape are differences; an output too many is none."""
    answers = {name: output for name, output in reference.items() if name != "score"}
    answers["class_ids"] = answers["class_ids"].astype(np.int32)
    answers["logits"] = answers["logits"][:2]
    parity = compare(answers, reference, rtol=RTOL, scales=SCALES, threshold=THRESHOLD)
    assert {difference.output: difference.detail for difference in parity.differences} == {
        "logits": "is float32 (2, 3), not float32 (3, 3)",
        "class_ids": "is int32 (3,), not int64 (3,)",
        "score": "is missing",
    }
    assert against(reference, more=np.zeros(3)).agree


def test_no_rows() -> None:
    """No rows agree."""
    empty = {"logits": np.zeros((0, 10), np.float32), "class_ids": np.zeros(0, np.int64)}
    parity = compare(empty, empty, rtol=RTOL, scales=SCALES, threshold=THRESHOLD)
    assert parity.agree
    assert (parity.rows, parity.largest_used) == (0, 0.0)
