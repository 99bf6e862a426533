from __future__ import annotations

import numpy as np
import pytest

from tasks.judging import gates
from tasks.judging.comparison import Comparison
from tasks.judging.latency import Latency
from tasks.judging.statistics import Estimate, wilson
from tasks.release.parity import compare

AS_ASKED = Estimate(0.01, 0.01, 0.01)  # of the held-out rows


def test_the_line_of_a_gate_names_it_with_measured_and_required() -> None:
    """What the user reads is gate, measured, required."""
    gate = gates.accuracy(Estimate(0.9712, 0.968, 0.974), 0.98)
    assert gate.line == "accuracy: measured 0.9712, required ≥ 0.98"
    assert gate.detail == "interval 0.968 to 0.974"
    assert gates.Gate.from_json(gate.as_json()) == gate


def test_a_gate_missed_by_a_hair_shows_it() -> None:
    """A measured value that rounds to the required one is written out."""
    gate = gates.auroc({"letters": Estimate(0.99949999, 0.999, 1.0)}, "letters", 0.9995, {})
    assert (not gate.failed, gate.shown) == (False, "0.99949999")


def test_a_bound_of_zero_is_none() -> None:
    """No candidate can miss it, so the gate is off."""
    assert gates.accuracy(Estimate(0.35, 0.3, 0.4), 0.0).state == "off"
    assert gates.auroc({"letters": Estimate(0.35, 0.3, 0.4)}, "letters", 0.0, {}).state == "off"


def test_gates_are_counted_by_what_came_of_them() -> None:
    """Off and not applicable are no passes; a state that no gate has is not told."""
    decided = [
        gates.leak(wilson(0, 10, 0.95), 10),
        gates.leak(wilson(9, 10, 0.95), 10),
        gates.champion([], on=True),
        gates.champion([], on=False),
    ]
    assert gates.counts(decided) == {"passed": 1, "failed": 1, "off": 1, "not applicable": 1}
    assert gates.summary(decided) == "1 gate passed, 1 failed, 1 off, 1 not applicable"
    assert gates.summary(decided[:1] * 8) == "8 gates passed"


@pytest.mark.parametrize(
    ("passed", "required", "state"),
    [
        (True, "≥ 0.98", "passed"),
        (False, "≥ 0.98", "failed"),
        (True, "off", "off"),
        (True, "none to compare with", "not applicable"),
    ],
)
def test_a_gate_of_a_receipt_without_states(passed: bool, required: str, state: str) -> None:
    """What an earlier version wrote, with `passed` alone, is read with the state that it had."""
    written = {"name": "a", "measured": 0.5, "shown": "0.5", "required": required, "passed": passed}
    gate = gates.Gate.from_json({**written, "detail": "b"})
    assert gate == gates.Gate("a", 0.5, required, state, "b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (-0.00031463, "−0.000315"),
        (0.0, "0"),
        (-0.0, "0"),
        (2e-9, "2e−09"),
        (12, "12"),
        (100.0, "100"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Up to six decimals, and one digit of what is smaller."""
    assert gates.number(value) == text


@pytest.mark.parametrize(
    ("leaked", "rows", "state"),
    [
        (0, 10_000, "passed"),
        (10, 10_000, "passed"),
        (16, 10_000, "passed"),  # the interval reaches down to 0.00099
        (17, 10_000, "failed"),
        (10_000, 10_000, "failed"),
        (1, 200, "passed"),  # 0.00088 to 0.028
        (2, 200, "failed"),
    ],
)
def test_leak(leaked: int, rows: int, state: str) -> None:
    """One test row in a thousand may be a training row too: fails where there surely are more."""
    gate = gates.leak(wilson(leaked, rows, 0.95), rows)
    assert (gate.state, gate.measured, gate.required) == (state, leaked / rows, "≤ 0.001")
    assert gate.detail == f"{leaked} of {rows:,} test rows are training rows too"


@pytest.mark.parametrize(("value", "state"), [(0.98, "passed"), (0.9799, "failed")])
def test_accuracy(value: float, state: str) -> None:
    """The accuracy itself is held against the minimum, not an end of its interval."""
    assert gates.accuracy(Estimate(value, 0.9, 1.0), 0.98).state == state


@pytest.mark.parametrize(("value", "state"), [(0.9995, "passed"), (0.5, "failed")])
def test_auroc(value: float, state: str) -> None:
    """The AUROC itself is held against the minimum; the detail names the set."""
    gate = gates.auroc({"notmnist-small": Estimate(value, 0.4, 1.0)}, "notmnist-small", 0.9995, {})
    assert gate.state == state
    assert "notmnist-small" in gate.detail


def test_a_bound_of_a_set_follows_the_set() -> None:
    """It takes the place of the minimum where its set is the primary one, and is held besides where not."""
    measured = {"letters": Estimate(0.9993, 0.999, 0.9996), "blank": Estimate(0.98, 0.97, 0.99)}
    assert gates.auroc(measured, "letters", 0.9995, {}).failed
    own = gates.auroc(measured, "letters", 0.9995, {"letters": 0.999})
    assert (own.state, own.required, own.parts) == ("passed", "≥ 0.999", ())
    besides = gates.auroc(measured, "letters", 0.999, {"blank": 0.99})
    assert (besides.state, besides.measured, besides.required) == ("failed", 0.9993, "≥ 0.999")
    assert [(part.name, part.passed) for part in besides.parts] == [
        ("against letters", True),
        ("against blank", False),
    ]
    assert besides.line == "auroc: against blank 0.98 (0.97 to 0.99), ≥ 0.99"
    assert gates.auroc(measured, "letters", 0.0, {"blank": 0.9}).state == "passed"


def test_a_bound_of_a_set_that_could_not_be_had_is_told() -> None:
    """The gate judges on what is there, and names what it did not look at."""
    measured = {"letters": Estimate(1.0, 1.0, 1.0)}
    gate = gates.auroc(measured, "letters", 0.99, {"notmnist-small": 0.9999})
    assert (gate.state, gate.required) == ("passed", "≥ 0.99")
    assert gate.detail.endswith("; not had, and not held to a bound: notmnist-small")


def test_trivial_detectors() -> None:
    """Only a detector whose whole interval is above the concept's AUROC fails the gate."""
    worse, maybe, surely = (
        Estimate(-0.1, -0.2, -0.05),
        Estimate(0.01, -0.001, 0.02),
        Estimate(0.01, 0.004, 0.02),
    )
    assert gates.trivial_detectors({"a": worse, "b": maybe}, on=True).state == "passed"
    failed = gates.trivial_detectors({"a": worse, "b": surely}, on=True)
    assert (failed.state, failed.measured, failed.required) == ("failed", 0.004, "≤ 0")
    assert "closest is b" in failed.detail
    off = gates.trivial_detectors({"b": surely}, on=False)
    assert (off.state, off.required) == ("off", "off")


@pytest.mark.parametrize(
    ("share", "passed"),
    [(0.0, False), (0.0049, False), (0.005, True), (0.02, True), (0.0201, False), (1.0, False)],
)
def test_flagged_share(share: float, passed: bool) -> None:
    """From half to twice the asked-for rate, both ends included, where the share is known exactly."""
    gate = gates.flagged_share(Estimate(share, share, share), AS_ASKED, 0.01, 0.5, 2.0)
    assert (gate.state, gate.required) == ("passed" if passed else "failed", "0.005 to 0.02")


@pytest.mark.parametrize(
    ("flagged", "rows", "passed"),
    [
        (0, 200, True),  # 0 to 0.019
        (0, 1_000, False),  # 0 to 0.0038
        (7, 200, True),  # 0.017 to 0.07
        (9, 200, False),  # 0.024 to 0.083
        (29, 10_000, False),
        (40, 10_000, True),  # 0.0029 to 0.0054
        (227, 10_000, True),
        (232, 10_000, False),
    ],
)
def test_a_share_of_few_rows_is_not_sure(flagged: int, rows: int, passed: bool) -> None:
    """What counts is whether the interval reaches into the range."""
    gate = gates.flagged_share(wilson(flagged, rows, 0.95), AS_ASKED, 0.01, 0.5, 2.0)
    assert gate.state == ("passed" if passed else "failed")


def test_a_threshold_that_few_rows_have_set_is_not_sure() -> None:
    """The range is as wide as the interval of the share of the held-out rows, where that is wider."""
    few = wilson(1, 100, 0.95)  # 0.0018 to 0.054
    flagged = Estimate(0.04, 0.035, 0.045)
    gate = gates.flagged_share(flagged, few, 0.01, 0.5, 2.0)
    assert (gate.state, gate.required) == ("passed", "0.00177 to 0.0545")
    assert gates.flagged_share(flagged, wilson(50, 5_000, 0.95), 0.01, 0.5, 2.0).state == "failed"
    assert gates.flagged_share(Estimate(0.07, 0.06, 0.08), few, 0.01, 0.5, 2.0).state == "failed"


def test_parity() -> None:
    """Sets that agree tell the tolerance used; one that does not is named with its first row."""
    answers = {"score": np.linspace(1, 2, 50)}
    near, far = {"score": answers["score"] * (1 + 5e-5)}, {"score": answers["score"].copy()}
    far["score"][7] *= 1.01
    given = {"rtol": 1e-4, "scales": {}, "threshold": None}
    good, bad = compare(near, answers, **given), compare(far, answers, **given)
    passed = gates.endpoint_parity({"test": good}, 1e-4)
    assert (passed.name, passed.state, passed.measured) == ("endpoint-parity", "passed", 0)
    assert "50 rows agree" in passed.detail
    assert "50.0 % of which" in passed.detail
    failed = gates.litert_parity({"test": good, "letters": bad}, 1e-4)
    assert (failed.name, failed.state, failed.measured) == ("litert-parity", "failed", 1)
    assert failed.detail.startswith("letters: score: 1 of 50 rows differ, first row 7")


def test_parity_with_nothing_compared_is_not_agreement() -> None:
    """No reference, no pass."""
    assert gates.endpoint_parity({}, 1e-4).failed


def beside(statistic: str, version: int, role: str, *difference: float) -> Comparison:
    """A comparison with a margin of 0.006."""
    return Comparison(statistic, version, role, Estimate(*difference), 0.006)


def test_champion() -> None:
    """A candidate that is worse than one version in one statistic fails, by name and with the figures."""
    better = beside("accuracy", 3, "production", 0.01, 0.005, 0.015)
    surely_worse = beside("auroc", 2, "best", -0.002, -0.003, -0.001)
    passed = gates.champion([better, better], on=True)
    assert (passed.state, passed.measured, passed.required) == ("passed", 0, "0")
    failed = gates.champion([better, surely_worse], on=True)
    assert (failed.state, failed.measured, failed.detail) == ("failed", 1, "worse in 1 of 2")
    names = [part.name for part in failed.parts]
    assert names == ["accuracy, version 3 (production)", "auroc, version 2 (best)"]
    assert failed.parts[0].shown == "+0.01 (0.005 to 0.015)"
    assert failed.line == "champion: auroc, version 2 (best) −0.002 (−0.003 to −0.001), margin 0.006"
    assert gates.Gate.from_json(failed.as_json()) == failed
    assert gates.champion([surely_worse], on=False).state == "off"


def test_the_first_delivery_has_no_champion_and_says_so() -> None:
    """Nothing to compare with is neither passed nor failed."""
    gate = gates.champion([], on=True)
    assert (gate.state, gate.measured, gate.shown) == ("not applicable", None, "–")
    assert gate.required == "none to compare with"


def test_latency() -> None:
    """Off unless there is a limit; then the median at batch 1 counts."""
    measured = [Latency(1, 200, 2.5, 9.0), Latency(32, 50, 40.0, 90.0)]
    off = gates.latency(measured, "a processor, 2 cores", 0.0)
    assert (off.state, off.measured, off.required) == ("off", 2.5, "off")
    assert off.detail == (
        "on a processor, 2 cores; batch 1: median 2.50 ms, p99 9.00 ms; "
        "batch 32: median 40.00 ms, p99 90.00 ms"
    )
    assert gates.latency(measured, "", 2.5).state == "passed"
    assert gates.latency(measured, "", 2.4).line == "latency: measured 2.5, required ≤ 2.4 ms"
    assert gates.latency([], "", 5).failed
