from __future__ import annotations

import numpy as np
import pytest

from tasks.judging import gates
from tasks.judging.latency import Latency
from tasks.judging.statistics import Estimate
from tasks.release.parity import compare


def test_the_line_of_a_gate_names_it_with_measured_and_required() -> None:
    """What the user reads is gate, measured, required."""
    gate = gates.accuracy(Estimate(0.9712, 0.968, 0.974), 0.98)
    assert gate.line == "accuracy: measured 0.9712, required ≥ 0.98"
    assert gate.detail == "interval 0.968 to 0.974"
    assert gates.Gate.from_json(gate.as_json()) == gate


def test_a_gate_missed_by_a_hair_shows_it() -> None:
    """A measured value that rounds to the required one is written out."""
    gate = gates.auroc(Estimate(0.99949999, 0.999, 1.0), "letters", 0.9995)
    assert (gate.passed, gate.shown) == (False, "0.99949999")


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


@pytest.mark.parametrize(("leaked", "passed"), [(0, True), (10, True), (11, False), (10_000, False)])
def test_leak(leaked: int, passed: bool) -> None:
    """One test image in a thousand may be a training image too."""
    assert gates.leak(leaked, 10_000).passed is passed


@pytest.mark.parametrize(("value", "passed"), [(0.98, True), (0.9799, False)])
def test_accuracy(value: float, passed: bool) -> None:
    """The accuracy itself is held against the minimum, not an end of its interval."""
    assert gates.accuracy(Estimate(value, 0.9, 1.0), 0.98).passed is passed


@pytest.mark.parametrize(("value", "passed"), [(0.9995, True), (0.5, False)])
def test_auroc(value: float, passed: bool) -> None:
    """The AUROC itself is held against the minimum; the detail names the set."""
    gate = gates.auroc(Estimate(value, 0.4, 1.0), "notmnist-small", 0.9995)
    assert gate.passed is passed
    assert "notmnist-small" in gate.detail


def test_trivial_detectors() -> None:
    """Only a detector whose whole interval is above the concept's AUROC fails the gate."""
    worse, maybe, surely = (
        Estimate(-0.1, -0.2, -0.05),
        Estimate(0.01, -0.001, 0.02),
        Estimate(0.01, 0.004, 0.02),
    )
    assert gates.trivial_detectors({"a": worse, "b": maybe}, on=True).passed
    failed = gates.trivial_detectors({"a": worse, "b": surely}, on=True)
    assert (failed.passed, failed.measured, failed.required) == (False, 0.004, "≤ 0")
    assert "closest is b" in failed.detail
    off = gates.trivial_detectors({"b": surely}, on=False)
    assert (off.passed, off.required) == (True, "off")


@pytest.mark.parametrize(
    ("share", "passed"),
    [(0.0, False), (0.0049, False), (0.005, True), (0.02, True), (0.0201, False), (1.0, False)],
)
def test_flagged_share(share: float, passed: bool) -> None:
    """From half to twice the asked-for rate, both ends included."""
    gate = gates.flagged_share(Estimate(share, 0, 1), 0.01, 0.5, 2.0)
    assert (gate.passed, gate.required) == (passed, "0.005 to 0.02")


def test_parity() -> None:
    """Sets that agree tell the tolerance used; one that does not is named with its first row."""
    answers = {"score": np.linspace(1, 2, 50)}
    near, far = {"score": answers["score"] * (1 + 5e-5)}, {"score": answers["score"].copy()}
    far["score"][7] *= 1.01
    given = {"rtol": 1e-4, "scales": {}, "threshold": None}
    good, bad = compare(near, answers, **given), compare(far, answers, **given)
    passed = gates.endpoint_parity({"test": good}, 1e-4)
    assert (passed.name, passed.passed, passed.measured) == ("endpoint-parity", True, 0)
    assert "50 images agree" in passed.detail
    assert "50.0 % of which" in passed.detail
    failed = gates.litert_parity({"test": good, "letters": bad}, 1e-4)
    assert (failed.name, failed.passed, failed.measured) == ("litert-parity", False, 1)
    assert failed.detail.startswith("letters: score: 1 of 50 rows differ, first row 7")


def test_parity_with_nothing_compared_is_not_agreement() -> None:
    """No reference, no pass."""
    assert not gates.endpoint_parity({}, 1e-4).passed


def test_champion() -> None:
    """The candidate may be worse by the width of the interval, in both statistics, and not by more."""
    better, bit_worse = Estimate(0.01, 0.005, 0.015), Estimate(-0.001, -0.002, 0.0)
    much_worse, surely_worse = Estimate(-0.02, -0.025, -0.015), Estimate(-0.5, -0.5, -0.5)
    assert gates.champion({"accuracy": better, "auroc": bit_worse}, 3, on=True).passed
    failed = gates.champion({"accuracy": better, "auroc": much_worse}, 3, on=True)
    assert (failed.passed, failed.measured, failed.required) == (False, -0.02, "≥ −0.01")
    assert failed.detail.startswith("against version 3: accuracy +0.01 (0.005 to 0.015); auroc −0.02")
    assert not gates.champion({"accuracy": surely_worse}, 3, on=True).passed
    assert gates.champion({"accuracy": surely_worse}, 3, on=False).passed


def test_the_first_delivery_has_no_champion_and_says_so() -> None:
    """Nothing to compare with passes, with the reason."""
    gate = gates.champion({}, None, on=True)
    assert (gate.passed, gate.measured, gate.shown, gate.detail) == (True, None, "–", "no champion")


def test_latency() -> None:
    """Off unless there is a limit; then the median at batch 1 counts."""
    measured = [Latency(1, 200, 2.5, 9.0), Latency(32, 50, 40.0, 90.0)]
    off = gates.latency(measured, "a processor, 2 cores", 0.0)
    assert (off.passed, off.measured, off.required) == (True, 2.5, "off")
    assert off.detail == (
        "on a processor, 2 cores; batch 1: median 2.50 ms, p99 9.00 ms; "
        "batch 32: median 40.00 ms, p99 90.00 ms"
    )
    assert gates.latency(measured, "", 2.5).passed
    assert gates.latency(measured, "", 2.4).line == "latency: measured 2.5, required ≤ 2.4 ms"
    assert not gates.latency([], "", 5).passed
