"""Whether two ways of computing the same model give the same answers.

Floats agree where |answer - reference| <= rtol * (|reference| + scale). The scale is the output's, measured
at the export (scales.py): where large terms cancel, a small value is no more exact than they are.

Probabilities that are the softmax of the logits are held against the softmax of the answer's own logits,
which are held against the reference's: near a tie of large logits, two sound evaluations may be far apart in
them. Rounding may flip a class where two logits tie and a flag where the score is at the threshold, so these
two have to be equal only further than that distance from the tie or the threshold. All else has to be equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Answers = Mapping[str, np.ndarray]

UNIT = 2.0**-24  # the rounding of a float32 near 1: what probabilities are exact to


@dataclass(frozen=True)
class Difference:
    """An output that is not the same: in how many rows, the first of them, and what differs."""

    output: str
    rows: int
    first: int
    detail: str

    def __str__(self) -> str:
        return f"{self.output}: {self.detail}"


@dataclass(frozen=True)
class Parity:
    """The result of a comparison of N rows.

    `used` is the largest share of the tolerance that a float output uses, by name: up to 1 agrees, infinite
    where a value is not finite.
    """

    rows: int
    used: dict[str, float]
    differences: tuple[Difference, ...]

    @property
    def agree(self) -> bool:
        """Whether all outputs are the same within the tolerance."""
        return not self.differences

    @property
    def largest_used(self) -> float:
        """The largest share of the tolerance that any output uses; 0 without a float output."""
        return max(self.used.values(), default=0.0)

    def __str__(self) -> str:
        if self.agree:
            return f"{self.rows} rows agree, using {self.largest_used:.1%} of the tolerance"
        return "; ".join(map(str, self.differences))


def compare(
    answers: Answers,
    reference: Answers,
    *,
    rtol: float,
    scales: Mapping[str, float],
    threshold: float | None,
) -> Parity:
    """Compare every output of `reference`, arrays with N rows by name, with that of `answers`.

    `scales` (an output that is not among them: 0) and `threshold` are the release's; without a threshold the
    flags have to be equal. A missing output, another type or another shape is a difference; an output that
    only `answers` has is not looked at.
    """
    used: dict[str, float] = {}
    differences: list[Difference] = []
    for name, wanted in reference.items():
        if not _fits(answers, reference, name):
            differences.append(Difference(name, len(wanted), 0, _mismatch(answers.get(name), wanted)))
            continue
        given = answers[name]
        if np.issubdtype(wanted.dtype, np.floating):
            scale = scales.get(name, 0.0)
            if name == "probabilities" and _are_softmax(reference) and _fits(answers, reference, "logits"):
                wanted, scale = _softmax(answers["logits"]), UNIT
            shares = _shares(given, wanted, rtol, scale)
            used[name] = float(shares.max(initial=0.0))
            wrong = ~(shares <= 1)
        else:
            wrong = given != wanted
            if name == "class_ids" and "logits" in reference:
                wrong &= ~_tied(given, wanted, reference["logits"], rtol, scales.get("logits", 0.0))
            if name == "in_distribution" and "score" in reference and threshold is not None:
                scale = scales.get("score", 0.0)
                wrong &= _shares(np.full(len(wanted), threshold), reference["score"], rtol, scale) > 1
        if wrong.any():
            differences.append(_difference(name, wrong, given, wanted))
    return Parity(max(map(len, reference.values()), default=0), used, tuple(differences))


def _fits(answers: Answers, reference: Answers, name: str) -> bool:
    """Whether the output is there, with the type and the shape of the reference's."""
    given, wanted = answers.get(name), reference[name]
    return given is not None and given.dtype == wanted.dtype and given.shape == wanted.shape


def _softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax over the classes, float64 (N, C)."""
    logits = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        odds: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _are_softmax(reference: Answers) -> bool:
    """Whether the probabilities are the softmax of the logits, as far as float32 can tell."""
    logits, probabilities = reference.get("logits"), reference["probabilities"]
    if logits is None or logits.shape != probabilities.shape:
        return False
    return np.allclose(probabilities, _softmax(logits), rtol=1e-4, atol=UNIT, equal_nan=True)


def _shares(given: np.ndarray, wanted: np.ndarray, rtol: float, scale: float) -> np.ndarray:
    """The distance of each value in units of the tolerance; infinite where a value is not finite."""
    given, wanted = given.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance: np.ndarray = np.abs(given - wanted)
        shares: np.ndarray = np.where(distance == 0, 0.0, distance / (rtol * (np.abs(wanted) + scale)))
    shares[~(np.isfinite(given) & np.isfinite(wanted))] = np.inf
    return shares


def _tied(given: np.ndarray, wanted: np.ndarray, logits: np.ndarray, rtol: float, scale: float) -> np.ndarray:
    """Whether the reference's logits of the two classes are so close that rounding can swap them, (N,)."""
    classes = logits.shape[1]
    known = (given >= 0) & (given < classes)
    rows = np.arange(len(given))
    logits = logits.astype(np.float64)
    first, second = logits[rows, wanted], logits[rows, np.where(known, given, 0)]  # (N,)
    # Each of the two may be off by its own tolerance.
    near = np.abs(first - second) <= rtol * (np.abs(first) + np.abs(second) + 2 * scale)
    tied: np.ndarray = known & near
    return tied


def _mismatch(given: np.ndarray | None, wanted: np.ndarray) -> str:
    if given is None:
        return "is missing"
    return f"is {given.dtype} {given.shape}, not {wanted.dtype} {wanted.shape}"


def _difference(name: str, wrong: np.ndarray, given: np.ndarray, wanted: np.ndarray) -> Difference:
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    at = tuple(np.argwhere(wrong)[0])
    detail = (
        f"{len(rows)} of {len(wrong)} rows differ, first row {rows[0]}: {given[at]!s} and not {wanted[at]!s}"
    )
    return Difference(name, len(rows), int(rows[0]), detail)
