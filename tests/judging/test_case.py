from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from settings.errors import WrongInput
from tasks.judging.comparison import Rival


def test_the_outliers_begin_with_the_primary_set(make_case: Callable[..., Any]) -> None:
    """Whatever the order of the sets, the primary one is first and the test set is none."""
    assert make_case(primary="blank").outliers == ("blank", "letters")


def test_test_and_primary_are_two_of_the_sets(make_case: Callable[..., Any]) -> None:
    """A name that was not scored, or one set for both, is refused with the names that there are."""
    with pytest.raises(WrongInput, match=r"'notmnist-small'.*test, letters, blank"):
        make_case(primary="notmnist-small")
    with pytest.raises(WrongInput, match="two of the sets"):
        make_case(primary="test")


def test_labels_belong_to_the_rows(make_case: Callable[..., Any], world: Any) -> None:
    """A label per test row."""
    with pytest.raises(WrongInput, match="200 test rows and 199 labels"):
        make_case(test_labels=world.test_labels[1:])


def test_a_model_without_a_score_needs_no_outliers(make_case: Callable[..., Any], world: Any) -> None:
    """What its answers lack decides: it has no outlier sets, whatever was scored besides."""
    alone = world.without_score()
    case = make_case(candidate=alone.scores(), sets=alone.sets, primary="", wanted="", threshold=None)
    assert (case.scores_rows, case.outliers) == (False, ())
    with pytest.raises(WrongInput, match="two of the sets"):
        make_case(sets=alone.sets, primary="", wanted="")


def test_all_sets_have_to_be_answered_by_both(make_case: Callable[..., Any], world: Any) -> None:
    """Candidate and rivals answered every row of every set."""
    scores = world.scores()
    without = replace(scores, sets={name: scores.sets[name] for name in ("test", "letters")})
    with pytest.raises(WrongInput, match="version 1 answered 0 of 150 rows of blank"):
        make_case(candidate=without)
    with pytest.raises(WrongInput, match="version 1 answered 0 of 150 rows of blank"):
        make_case(rivals=(Rival(without, {"accuracy": "production"}),))
