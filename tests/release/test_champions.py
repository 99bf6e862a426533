"""Which versions a candidate is compared with, from what happened to those before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from settings.model import Description, Model
from tasks.models.builtin import BUILT_IN, CLASSIFIER
from tasks.release.champions import Rival, champion_among, compared_on, needed, rivals
from tasks.release.history import Event, History, Statistic
from tasks.release.promise import promised

SIGNATURES = promised(BUILT_IN, Description(shape=(28, 28), classes=tuple("0123456789")))
ON = compared_on(SIGNATURES, "test rows", "outliers", 0)
EVERY = range(1, 10)


class Told:
    """A history that is written as deliveries and rollbacks write it."""

    def __init__(self, path: Path) -> None:
        self.history = History(path)
        self.production = 0

    @property
    def events(self) -> list[Event]:
        """What happened."""
        return self.history.events()

    def judge(self, version: int, accuracy: float, auroc: float, on: dict[str, str] = ON) -> None:
        """A version is exported and judged."""
        self.history.append("exported", version, digest(version), "new")
        measured = {
            "accuracy": Statistic(value=accuracy, on=on["accuracy"]),
            "auroc": Statistic(value=auroc, on=on["auroc"]),
        }
        self.history.append("judged", version, digest(version), "said", statistics=measured)

    def promote(self, version: int, *, forced: bool = False) -> None:
        """A version goes into production."""
        champion = self.production or None
        self.history.append("promoted", version, digest(version), "so", champion=champion, forced=forced)
        self.production = version

    def deliver(self, version: int, accuracy: float, auroc: float, **how: bool) -> None:
        """A version is judged and goes into production."""
        self.judge(version, accuracy, auroc)
        self.promote(version, **how)

    def roll_back(self, version: int) -> None:
        """A version before goes into production."""
        self.history.append("rolled back", version, digest(version), "so")
        self.production = version

    def compared(self, version: int, on: dict[str, str] = ON) -> dict[int, dict[str, str]]:
        """Give the roles of the versions that a new one is compared with."""
        champion = (self.production, digest(self.production)) if self.production else None
        found = rivals(self.events, version, self.production, champion, on, EVERY)
        assert [rival.digest for rival in found] == [digest(rival.version) for rival in found]
        return {rival.version: dict(rival.roles) for rival in found}


def digest(version: int) -> str:
    """Give the digest of a version's release."""
    return f"digest {version}"


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """A history in which nothing happened."""
    return Told(tmp_path / "history.jsonl")


def test_the_first_version_has_none(told: Told) -> None:
    """Nothing was promoted."""
    told.judge(1, 0.9, 0.9)
    assert told.compared(2) == {}


def test_production_is_compared_in_each_statistic_and_the_best_in_its_own(told: Told) -> None:
    """A chain of small losses is held against where it began, and a version is named once."""
    told.deliver(1, 0.9894, 0.9990)
    assert told.compared(2) == {1: {"accuracy": "production, best", "auroc": "production, best"}}
    told.deliver(2, 0.9875, 0.9995)
    assert told.compared(3) == {
        2: {"accuracy": "production", "auroc": "production, best"},
        1: {"accuracy": "best"},
    }
    told.deliver(3, 0.9859, 0.9994)
    assert told.compared(4) == {
        3: {"accuracy": "production", "auroc": "production"},
        1: {"accuracy": "best"},
        2: {"auroc": "best"},
    }


@pytest.mark.parametrize(
    "leave",
    [
        lambda told: told.deliver(2, 0.999, 0.999, forced=True),
        lambda told: told.judge(2, 0.999, 0.999),
        lambda told: (told.deliver(2, 0.999, 0.999), told.roll_back(1)),
        lambda told: (told.deliver(2, 0.999, 0.999), told.deliver(3, 0.9, 0.9), told.roll_back(1)),
    ],
    ids=["forced", "never promoted", "rolled back from", "rolled back over"],
)
def test_what_does_not_count_as_best(told: Told, leave: Callable[[Told], object]) -> None:
    """A version counts that its gates let in and that nobody took out again."""
    told.deliver(1, 0.98, 0.98)
    leave(told)
    roles = told.compared(9)
    assert {version for version, role in roles.items() if "best" in " ".join(role.values())} == {1}


def test_a_version_that_came_back_counts_again(told: Told) -> None:
    """An operator who goes back to it undoes what took it back."""
    told.deliver(1, 0.98, 0.98)
    told.deliver(2, 0.99, 0.99)
    told.roll_back(1)
    told.roll_back(2)
    assert told.compared(3) == {2: {"accuracy": "production, best", "auroc": "production, best"}}


def test_only_what_was_measured_on_the_same_is_comparable(told: Told) -> None:
    """Other outliers leave the accuracy comparable, other test rows nothing; production is in any case."""
    told.deliver(1, 0.99, 0.99)
    told.deliver(2, 0.98, 0.98)
    others = compared_on(SIGNATURES, "test rows", "other outliers", 0)
    assert told.compared(3, others) == {
        2: {"accuracy": "production", "auroc": "production"},
        1: {"accuracy": "best"},
    }
    for on in (
        compared_on(SIGNATURES, "other rows", "outliers", 0),
        compared_on(SIGNATURES, "test rows", "outliers", 3_000),
    ):
        assert told.compared(3, on) == {2: {"accuracy": "production", "auroc": "production"}}


def test_only_a_release_with_the_same_promise_is_comparable(told: Told) -> None:
    """Another shape of the rows, another class or a score more is another contract."""
    told.deliver(1, 0.99, 0.99)
    told.deliver(2, 0.98, 0.98)
    digits = tuple("0123456789")
    without_score = Model("mnist", (CLASSIFIER,), inputs="imgs")
    for model, shape, classes in (
        (BUILT_IN, (28, 28, 1), digits),
        (BUILT_IN, (28, 28), (*digits, "none")),
        (without_score, (28, 28), digits),
    ):
        other = promised(model, Description(shape=shape, classes=classes))
        on = compared_on(other, "test rows", "outliers", 0)
        assert told.compared(3, on) == {2: {"accuracy": "production", "auroc": "production"}}


def test_a_model_without_a_score_is_compared_by_its_accuracy(told: Told) -> None:
    """It has no outliers, so there is no AUROC to be compared in."""
    assert list(compared_on(SIGNATURES, "test rows", "", 0)) == ["accuracy"]


def test_a_best_version_that_was_removed_is_stepped_over(told: Told) -> None:
    """The next best takes its place."""
    for version, accuracy in ((1, 0.98), (2, 0.99), (3, 0.97)):
        told.deliver(version, accuracy, 0.9)
    assert told.compared(4)[2] == {"accuracy": "best"}
    roles = rivals(told.events, 4, 3, (3, digest(3)), ON, {1, 3})
    assert roles[1] == Rival(version=1, digest=digest(1), roles={"accuracy": "best"})


def test_an_unchanged_delivery_is_compared_as_before(told: Told) -> None:
    """The version in production has the rivals that it had when it got there; one that was left, today's."""
    told.deliver(1, 0.98, 0.98)
    told.judge(2, 0.99, 0.99)
    before = told.compared(2)
    told.promote(2)
    champion = (1, digest(1))
    again = rivals(told.events, 2, 2, champion, ON, EVERY)
    assert {rival.version: dict(rival.roles) for rival in again} == before
    told.deliver(3, 0.985, 0.985)
    assert told.compared(1) == {
        3: {"accuracy": "production", "auroc": "production"},
        2: {"accuracy": "best", "auroc": "best"},
    }


def test_the_champion_among_the_rivals(told: Told) -> None:
    """It is the one in production, whether it is the best or not."""
    assert champion_among(()) is None
    told.deliver(1, 0.99, 0.99)
    told.deliver(2, 0.98, 0.995)
    found = rivals(told.events, 3, 2, (2, digest(2)), ON, EVERY)
    assert champion_among(found) == 2
    assert champion_among([rival for rival in found if rival.version == 1]) is None


def test_what_the_next_judgings_need(told: Told) -> None:
    """Production, what it was compared with, and the best of before; of what is there."""
    assert needed(told.events, 0, EVERY) == set()
    for version, accuracy in ((1, 0.97), (2, 0.99), (3, 0.98), (4, 0.975), (5, 0.985)):
        told.deliver(version, accuracy, 0.9)
    assert needed(told.events, 5, EVERY) == {2, 4, 5}
    assert needed(told.events, 5, {1, 4, 5}) == {4, 5}


def test_lines_without_statistics_are_read(told: Told) -> None:
    """A version of which no figures were kept is never the best, and production all the same."""
    told.history.append("judged", 1, digest(1), "all 10 gates passed")
    told.promote(1)
    assert told.compared(2) == {1: {"accuracy": "production", "auroc": "production"}}
