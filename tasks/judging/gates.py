"""What a candidate has to reach: one function per gate, from what was measured to passed or not.

To add a gate, write its function here, add a rule to rules.py and its setting to JudgingSettings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.judging.comparison import Comparison
from tasks.judging.latency import Latency
from tasks.judging.scores import Outputs
from tasks.judging.statistics import Estimate
from tasks.release.parity import Parity

if TYPE_CHECKING:
    from settings.model import OwnGate

# MNIST shares no row between training and test; made and scraped sets may share a few blank ones.
MAX_LEAKED_SHARE = 0.001

ROUNDING = 1e-12  # 0.01 * 2 and a share of 0.02 are not always the same float

OFF: Literal["off"] = "off"
NOTHING_TO_COMPARE_WITH = "none to compare with"

State = Literal["passed", "failed", "off", "not applicable"]
STATES: tuple[State, ...] = ("passed", "failed", "off", "not applicable")

# What a model is good for, the gates say that are named here; the others say whether it was measured and is
# served as it should be, which holds for a model that knows nothing too.
QUALITY = ("accuracy", "auroc", "trivial-detectors", "champion")


@dataclass(frozen=True)
class Part:
    """One of several things that a gate looks at, each of which has to hold."""

    name: str
    shown: str  # what was measured, with its interval
    required: str
    passed: bool

    @property
    def line(self) -> str:
        """The part in one line."""
        return f"{self.name} {self.shown}, {self.required}"


@dataclass(frozen=True)
class Gate:
    """One requirement: what was measured, what is required, and what came of it."""

    name: str
    measured: float | None  # None: there was nothing to measure
    required: str
    state: State
    detail: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it keeps a candidate from being promoted."""
        return self.state == "failed"

    @property
    def judged(self) -> bool:
        """Whether the candidate could have failed at it."""
        return self.state in ("passed", "failed")

    @property
    def shown(self) -> str:
        """What was measured as text, with enough digits to differ from a requirement that it misses."""
        if self.measured is None:
            return "–"
        text = number(self.measured)
        return repr(self.measured) if self.failed and text in self.required.split() else text

    @property
    def line(self) -> str:
        """The gate in one line: of several parts, those that failed."""
        failed = [part.line for part in self.parts if not part.passed]
        return f"{self.name}: " + (
            ", and ".join(failed) or f"measured {self.shown}, required {self.required}"
        )

    def as_json(self) -> dict[str, Any]:
        """Give the gate as it stands in verdict and receipt."""
        return {
            "name": self.name,
            "measured": self.measured,
            "shown": self.shown,
            "required": self.required,
            "state": self.state,
            "detail": self.detail,
            "parts": [asdict(part) for part in self.parts],
        }

    @classmethod
    def from_json(cls, gate: Mapping[str, Any]) -> Gate:
        """Give the gate that `as_json` wrote, now or before a gate had a state: then it had `passed`."""
        given = {name: value for name, value in gate.items() if name not in ("shown", "passed", "parts")}
        if "state" not in given:
            without: dict[str, State] = {OFF: OFF, NOTHING_TO_COMPARE_WITH: "not applicable"}
            given["state"] = without.get(gate["required"], "passed" if gate["passed"] else "failed")
        return cls(**given, parts=tuple(Part(**part) for part in gate.get("parts", ())))


def held(holds: bool) -> State:
    """Give the state of a gate that is on."""
    return "passed" if holds else "failed"


def counts(gates: Sequence[Gate]) -> dict[State, int]:
    """Give how many gates are in each state."""
    return {state: sum(gate.state == state for gate in gates) for state in STATES}


def summary(gates: Sequence[Gate]) -> str:
    """Give the counts in words: `8 gates passed, 1 off, 1 not applicable`."""
    numbers = counts(gates)
    passed = numbers.pop("passed")
    rest = [f"{number} {state}" for state, number in numbers.items() if number]
    return ", ".join([f"{passed} gate{'' if passed == 1 else 's'} passed", *rest])


def number(value: float) -> str:
    """Give a value with up to six decimals, one digit at least, and a real minus sign."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    if value and not float(text):
        text = f"{value:.1g}"
    return "0" if not value else text.replace("-", "−")


def finite(sets: Mapping[str, Outputs]) -> Gate:
    """Every answer to every set is made of finite numbers; without it nothing else can be measured."""
    wrong: dict[str, int] = {}
    for name, outputs in sets.items():
        floats = [values for values in outputs.values() if np.issubdtype(values.dtype, np.floating)]
        rows = [np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in floats]  # (N,) each
        wrong[name] = int((~np.logical_and.reduce(rows)).sum())
    count = sum(wrong.values())
    detail = ", ".join(f"{name}: {number}" for name, number in wrong.items() if number)
    return Gate("finite", count, "0", held(not count), f"answers that are not finite: {detail or 'none'}")


def leak(leaked: Estimate, rows: int) -> Gate:
    """Few test rows stand byte for byte among the training rows: fails where there surely are more."""
    detail = f"{round(leaked.value * rows)} of {rows:,} test rows are training rows too"
    required = f"≤ {MAX_LEAKED_SHARE:g}"
    return Gate("leak", leaked.value, required, held(leaked.low <= MAX_LEAKED_SHARE), detail)


def accuracy(measured: Estimate, minimum: float) -> Gate:
    """The classifier is right often enough on the test rows; a minimum of 0 is none."""
    return Gate("accuracy", measured.value, *_at_least(minimum, measured), _interval(measured))


def auroc(
    measured: Mapping[str, Estimate], primary: str, minimum: float, bounds: Mapping[str, float]
) -> Gate:
    """The score parts the test rows from the primary outlier set, and from each with a bound of its own.

    `measured` is by set; of the `bounds` by set, that of the primary one takes the place of the minimum. A
    minimum of 0 is none. A set that has a bound and could not be had is named.
    """
    held_to = {primary: bounds.get(primary, minimum)} | {
        name: bound for name, bound in bounds.items() if name in measured
    }
    found = measured[primary]
    required, state = _at_least(held_to[primary], found)
    parts: tuple[Part, ...] = ()
    if len(held_to) > 1:
        parts = tuple(_against(name, measured[name], bound) for name, bound in held_to.items() if bound > 0)
        state = held(all(part.passed for part in parts))
    missing = sorted(bounds.keys() - measured.keys())
    without = f"; not had, and not held to a bound: {', '.join(missing)}" if missing else ""
    return Gate(
        "auroc", found.value, required, state, f"against {primary}; {_interval(found)}{without}", parts
    )


def _against(name: str, measured: Estimate, bound: float) -> Part:
    shown = f"{number(measured.value)} ({number(measured.low)} to {number(measured.high)})"
    return Part(f"against {name}", shown, f"≥ {bound:g}", measured.value >= bound)


def trivial_detectors(advantages: Mapping[str, Estimate], *, on: bool) -> Gate:
    """No trivial detector is surely better than the concept on the primary set.

    `advantages` are the paired differences of AUROC, detector minus concept. Surely better is one whose
    interval is wholly above zero; measured is the highest lower end of the intervals.
    """
    name, closest = max(advantages.items(), key=lambda item: item[1].low)
    detail = "; ".join(f"{each} {_signed(advantage)}" for each, advantage in advantages.items())
    required, state = ("≤ 0", held(closest.low <= 0)) if on else (OFF, OFF)
    return Gate("trivial-detectors", closest.low, required, state, f"closest is {name}; {detail}")


def flagged_share(
    flagged: Estimate, held_out: Estimate, rate: float, min_ratio: float, max_ratio: float
) -> Gate:
    """The threshold flags about as many test rows as was asked for: fails where it surely does not.

    A share of few rows is not sure: what counts is whether its interval reaches into the range. Nor is a
    threshold that few rows have set: the range is at least the interval of that share of them, `held_out`.
    """
    low, high = min(rate * min_ratio, held_out.low), max(rate * max_ratio, held_out.high)
    passed = low - ROUNDING <= flagged.high and flagged.low <= high + ROUNDING
    detail = f"asked for {rate:g}; {_interval(flagged)}"
    return Gate("flagged-share", flagged.value, f"{low:.3g} to {high:.3g}", held(passed), detail)


def endpoint_parity(sets: Mapping[str, Parity], rtol: float) -> Gate:
    """The endpoint answers what the SavedModel answers in-process."""
    return _parity("endpoint-parity", sets, rtol)


def litert_parity(sets: Mapping[str, Parity], rtol: float) -> Gate:
    """The LiteRT file answers what the SavedModel answers."""
    return _parity("litert-parity", sets, rtol)


def champion(comparisons: Sequence[Comparison], *, on: bool) -> Gate:
    """The candidate is no worse than production's version and the best of before, in each statistic.

    Measured is in how many comparisons it is; without any there is nothing to be worse than.
    """
    if not on:
        return Gate("champion", None, OFF, OFF)
    if not comparisons:
        return Gate("champion", None, NOTHING_TO_COMPARE_WITH, "not applicable")
    parts = tuple(_beside(each) for each in comparisons)
    worse = sum(not part.passed for part in parts)
    return Gate("champion", worse, "0", held(not worse), f"worse in {worse} of {len(parts)}", parts)


def _beside(comparison: Comparison) -> Part:
    name = f"{comparison.statistic}, version {comparison.version} ({comparison.role})"
    limit = f"margin {comparison.margin:.3g}"
    return Part(name, _signed(comparison.difference), limit, comparison.passed)


def latency(measured: Sequence[Latency], machine: str, max_ms: float) -> Gate:
    """A request of one row is answered quickly enough on this machine; off unless a limit is set."""
    at_one = next((each.median_ms for each in measured if each.batch == 1), None)
    passed = at_one is not None and at_one <= max_ms
    detail = "; ".join(
        f"batch {each.batch}: median {each.median_ms:.2f} ms, p99 {each.p99_ms:.2f} ms" for each in measured
    )
    detail = f"on {machine}; {detail}" if measured else "not measured"
    required, state = (f"≤ {max_ms:g} ms", held(passed)) if max_ms > 0 else (OFF, OFF)
    return Gate("latency", at_one, required, state, detail)


def own(gate: OwnGate, measured: float) -> Gate:
    """A gate of the model's own: its figure is between the bounds that it names."""
    low = -np.inf if gate.minimum is None else gate.minimum
    high = np.inf if gate.maximum is None else gate.maximum
    bounds = [f"≥ {low:g}"] * (gate.minimum is not None) + [f"≤ {high:g}"] * (gate.maximum is not None)
    return Gate(gate.name, measured, " and ".join(bounds) or "recorded", held(low <= measured <= high))


def _parity(name: str, sets: Mapping[str, Parity], rtol: float) -> Gate:
    different = sum(max((each.rows for each in parity.differences), default=0) for parity in sets.values())
    rows = sum(parity.rows for parity in sets.values())
    wrong = [f"{each}: {parity}" for each, parity in sets.items() if not parity.agree]
    used = max((parity.largest_used for parity in sets.values()), default=0.0)
    within = f"{rows:,} rows agree; rtol {rtol:g}, {100 * used:.1f} % of which is used"
    return Gate(name, different, "0", held(rows > 0 and not wrong), "; ".join(wrong) or within)


def _at_least(minimum: float, measured: Estimate) -> tuple[str, State]:
    """Give what is required of a statistic, and the state of the gate."""
    return (f"≥ {minimum:g}", held(measured.value >= minimum)) if minimum > 0 else (OFF, OFF)


def _interval(estimate: Estimate) -> str:
    return f"interval {number(estimate.low)} to {number(estimate.high)}"


def _signed(difference: Estimate) -> str:
    sign = "+" if difference.value > 0 else ""
    return f"{sign}{number(difference.value)} ({number(difference.low)} to {number(difference.high)})"
