"""Gates that a model brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import WrongInput
from settings.hyperparameters import JudgingSettings
from settings.model import GATES, Model, OwnGate
from tasks.judging.gates import own
from tasks.judging.rules import RULES
from tasks.judging.verdict import judge, load_verdict
from tasks.models.builtin import CLASSIFIER

Case = Callable[..., Any]


def share_of_nines(sets: Mapping[str, Mapping[str, Any]], labels: Any) -> float:
    """Give the share of the test rows that are taken for a 9; the labels have one of ten."""
    assert len(labels) == len(sets["test"]["class_ids"])
    return float(np.mean(sets["test"]["class_ids"] == 9))


@pytest.mark.parametrize(
    ("minimum", "maximum", "required", "state"),
    [
        (0.1, None, "≥ 0.1", "passed"),
        (0.2, None, "≥ 0.2", "failed"),
        (None, 0.1, "≤ 0.1", "passed"),
        (None, 0.05, "≤ 0.05", "failed"),
        (0.05, 0.2, "≥ 0.05 and ≤ 0.2", "passed"),
        (None, None, "recorded", "passed"),
    ],
)
def test_bounds(minimum: float | None, maximum: float | None, required: str, state: str) -> None:
    """A figure is held to what the gate names, both ends included."""
    gate = own(OwnGate("nines", share_of_nines, minimum=minimum, maximum=maximum), 0.1)
    assert (gate.name, gate.measured, gate.required, gate.state) == ("nines", 0.1, required, state)


def test_a_figure_that_is_no_number_fails() -> None:
    """NaN is between no bounds."""
    assert own(OwnGate("nines", share_of_nines, minimum=0.0), float("nan")).failed


def test_it_stands_behind_the_others_and_counts(
    make_case: Case, settings: JudgingSettings, tmp_path: Path
) -> None:
    """It measures what the endpoint answered; where it fails the candidate does, and the verdict names it."""
    passing = make_case(own_gates=(OwnGate("nines", share_of_nines, minimum=0.1),))
    verdict = judge(tmp_path, passing, settings)
    assert (verdict.passed, verdict.gates[-1].name, verdict.gates[-1].measured) == (True, "nines", 0.1)
    assert verdict.content["own_gates"] == ["nines"]
    assert load_verdict(tmp_path) == verdict
    (tmp_path / "second").mkdir()
    failing = make_case(own_gates=(OwnGate("nines", share_of_nines, minimum=0.5),))
    verdict = judge(tmp_path / "second", failing, settings)
    assert verdict.message() == "nines: measured 0.1, required ≥ 0.5"


def test_it_is_a_gate_of_quality(make_case: Case, settings: JudgingSettings, tmp_path: Path) -> None:
    """A model that nothing else judged is judged by it."""
    off = {"min_accuracy": 0.0, "min_auroc": 0.0, "trivial_detectors": False}
    case = make_case(own_gates=(OwnGate("nines", share_of_nines, minimum=0.1),))
    verdict = judge(tmp_path, case, settings.model_copy(update=off))
    assert (verdict.passed, verdict.content["passed"]) == (True, True)


def test_one_that_needs_what_the_model_lacks_is_not_applicable(
    make_case: Case, settings: JudgingSettings, tmp_path: Path
) -> None:
    """It is not asked, and says what is missing."""
    gate = OwnGate("depth", lambda sets, labels: pytest.fail("it was asked"), needs=("depth",))
    decided = judge(tmp_path, make_case(own_gates=(gate,)), settings).gates[-1]
    assert (decided.state, decided.required) == ("not applicable", "the model gives no depth")


def test_one_that_raises_is_named(make_case: Case, settings: JudgingSettings, tmp_path: Path) -> None:
    """With its error, in one line that the user can mend."""
    gate = OwnGate("depth", lambda sets, labels: sets["no such set"]["score"])
    with pytest.raises(WrongInput, match="the gate depth of the model: KeyError: 'no such set'"):
        judge(tmp_path, make_case(own_gates=(gate,)), settings)


def test_the_names_of_the_other_gates_are_taken() -> None:
    """All of them, in the order of the table; so is one's own name twice, and what is no name."""
    assert ("finite", *(rule.name for rule in RULES)) == GATES
    for names in (*((name,) for name in GATES), ("nines", "nines"), ("Nines",), ("my gate",)):
        gates = tuple(OwnGate(name, share_of_nines) for name in names)
        with pytest.raises(WrongInput, match=f"no gate can be called {names[0]!r}"):
            Model("small", (CLASSIFIER,), gates=gates)
