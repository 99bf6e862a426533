"""What a candidate has to reach: one function per gate, from what was measured to passed or not.

To add a gate, write its function here, call it in verdict.py and add its setting to JudgingSettings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.judging.latency import Latency
from tasks.judging.scores import SetScores
from tasks.judging.statistics import Estimate
from tasks.release.parity import Parity

# MNIST shares no image between training and test; made and scraped sets may share a few blank ones.
MAX_LEAKED_SHARE = 0.001

ROUNDING = 1e-12  # 0.01 * 2 and a share of 0.02 are not always the same float

OFF = "off"


@dataclass(frozen=True)
class Gate:
    """One requirement: what was measured, what is required, and whether that is fulfilled."""

    name: str
    measured: float | None  # None: there was nothing to measure
    required: str
    passed: bool
    detail: str = ""

    @property
    def shown(self) -> str:
        """What was measured as text, with enough digits to differ from a requirement that it misses."""
        if self.measured is None:
            return "–"
        text = number(self.measured)
        return text if self.passed or text not in self.required.split() else repr(self.measured)

    @property
    def line(self) -> str:
        """The gate in one line."""
        return f"{self.name}: measured {self.shown}, required {self.required}"

    def as_json(self) -> dict[str, Any]:
        """Give the gate as it stands in verdict and receipt."""
        return {
            "name": self.name,
            "measured": self.measured,
            "shown": self.shown,
            "required": self.required,
            "passed": self.passed,
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, gate: Mapping[str, Any]) -> Gate:
        """Give the gate that `as_json` wrote."""
        return cls(**{name: value for name, value in gate.items() if name != "shown"})


def number(value: float) -> str:
    """Give a value with up to six decimals, one digit at least, and a real minus sign."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    if value and not float(text):
        text = f"{value:.1g}"
    return "0" if not value else text.replace("-", "−")


def finite(sets: Mapping[str, SetScores]) -> Gate:
    """Every answer to every set is made of finite numbers; without it nothing else can be measured."""
    wrong: dict[str, int] = {}
    for name, scores in sets.items():
        outputs = (scores.score, scores.logits, scores.probabilities)
        rows = [np.isfinite(values.reshape(len(scores), -1)).all(axis=1) for values in outputs]  # (N,) each
        wrong[name] = int((~np.logical_and.reduce(rows)).sum())
    count = sum(wrong.values())
    detail = ", ".join(f"{name}: {number}" for name, number in wrong.items() if number)
    return Gate("finite", count, "0", not count, f"answers that are not finite: {detail or 'none'}")


def leak(leaked: int, images: int) -> Gate:
    """Few test images stand byte for byte among the training images."""
    share = leaked / images
    detail = f"{leaked} of {images:,} test images are training images too"
    return Gate("leak", share, f"≤ {MAX_LEAKED_SHARE:g}", share <= MAX_LEAKED_SHARE, detail)


def accuracy(measured: Estimate, minimum: float) -> Gate:
    """The classifier is right often enough on the test images."""
    return Gate("accuracy", measured.value, f"≥ {minimum:g}", measured.value >= minimum, _interval(measured))


def auroc(measured: Estimate, primary: str, minimum: float) -> Gate:
    """The score parts the test images from the primary outlier set."""
    detail = f"against {primary}; {_interval(measured)}"
    return Gate("auroc", measured.value, f"≥ {minimum:g}", measured.value >= minimum, detail)


def trivial_detectors(advantages: Mapping[str, Estimate], *, on: bool) -> Gate:
    """No trivial detector is surely better than the concept on the primary set.

    `advantages` are the paired differences of AUROC, detector minus concept. Surely better is one whose
    interval is wholly above zero; measured is the highest lower end of the intervals.
    """
    name, closest = max(advantages.items(), key=lambda item: item[1].low)
    detail = "; ".join(f"{each} {_signed(advantage)}" for each, advantage in advantages.items())
    passed = closest.low <= 0 or not on
    return Gate(
        "trivial-detectors", closest.low, "≤ 0" if on else OFF, passed, f"closest is {name}; {detail}"
    )


def flagged_share(flagged: Estimate, rate: float, min_ratio: float, max_ratio: float) -> Gate:
    """The threshold flags about as many test images as was asked for."""
    low, high = rate * min_ratio, rate * max_ratio
    passed = low - ROUNDING <= flagged.value <= high + ROUNDING
    detail = f"asked for {rate:g}; {_interval(flagged)}"
    return Gate("flagged-share", flagged.value, f"{low:g} to {high:g}", passed, detail)


def endpoint_parity(sets: Mapping[str, Parity], rtol: float) -> Gate:
    """The endpoint answers what the SavedModel answers in-process."""
    return _parity("endpoint-parity", sets, rtol)


def litert_parity(sets: Mapping[str, Parity], rtol: float) -> Gate:
    """The LiteRT file answers what the SavedModel answers."""
    return _parity("litert-parity", sets, rtol)


def champion(differences: Mapping[str, Estimate], version: int | None, *, on: bool) -> Gate:
    """The candidate is not worse than the champion by more than the width of the interval.

    `differences` are paired, candidate minus champion, by the name of the statistic; measured is the one
    that is nearest to its limit. Without a champion (version None) there is nothing to be worse than.
    """
    if version is None:
        return Gate("champion", None, OFF if not on else "none to compare with", True, "no champion")
    _, nearest = min(differences.items(), key=lambda item: item[1].value + _width(item[1]))
    passed = all(each.value >= -_width(each) for each in differences.values()) or not on
    detail = "; ".join(f"{name} {_signed(difference)}" for name, difference in differences.items())
    required = f"≥ {number(-_width(nearest))}" if on else OFF
    return Gate("champion", nearest.value, required, passed, f"against version {version}: {detail}")


def latency(measured: Sequence[Latency], machine: str, max_ms: float) -> Gate:
    """A request of one image is answered quickly enough on this machine; off unless a limit is set."""
    at_one = next((each.median_ms for each in measured if each.batch == 1), None)
    passed = max_ms <= 0 or (at_one is not None and at_one <= max_ms)
    detail = "; ".join(
        f"batch {each.batch}: median {each.median_ms:.2f} ms, p99 {each.p99_ms:.2f} ms" for each in measured
    )
    detail = f"on {machine}; {detail}" if measured else "not measured"
    return Gate("latency", at_one, f"≤ {max_ms:g} ms" if max_ms > 0 else OFF, passed, detail)


def _parity(name: str, sets: Mapping[str, Parity], rtol: float) -> Gate:
    different = sum(max((each.rows for each in parity.differences), default=0) for parity in sets.values())
    images = sum(parity.rows for parity in sets.values())
    wrong = [f"{each}: {parity}" for each, parity in sets.items() if not parity.agree]
    used = max((parity.largest_used for parity in sets.values()), default=0.0)
    within = f"{images:,} images agree; rtol {rtol:g}, {100 * used:.1f} % of which is used"
    return Gate(name, different, "0", images > 0 and not wrong, "; ".join(wrong) or within)


def _interval(estimate: Estimate) -> str:
    return f"interval {number(estimate.low)} to {number(estimate.high)}"


def _signed(difference: Estimate) -> str:
    sign = "+" if difference.value > 0 else ""
    return f"{sign}{number(difference.value)} ({number(difference.low)} to {number(difference.high)})"


def _width(estimate: Estimate) -> float:
    return estimate.high - estimate.low
