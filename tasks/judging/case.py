"""All that a verdict is reached on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import WrongInput
from tasks.judging.comparison import Rival
from tasks.judging.latency import Latency
from tasks.judging.scores import IN_DISTRIBUTION, SCORE, Outputs, Scores, rows_in
from tasks.release.parity import Answers

if TYPE_CHECKING:
    from settings.model import OwnGate

Rows = NDArray[Any]


@dataclass(frozen=True)
class References:
    """What the release answers without a server: the outputs of `serving_default` by set.

    They may cover some of the sets only.
    """

    saved_model: Mapping[str, Answers]
    litert: Mapping[str, Answers]


@dataclass(frozen=True)
class Case:
    """A candidate, what it is compared with, and the rows that it answered.

    A model that gives no score has no outlier sets, and no primary one.

    Raises WrongInput when the parts do not fit together.
    """

    candidate: Scores
    rivals: tuple[Rival, ...]  # what it is compared with, which answered the same sets
    sets: Mapping[str, Rows]  # (N, ...) by name, as they are stored
    test: str  # which of the sets holds the test rows
    primary: str  # which of the sets holds the primary outliers; empty: none does
    wanted: str  # which set was to hold them, and does where it could be had
    test_labels: NDArray[np.integer[Any]]  # (N,)
    train_rows: Rows  # those that the networks learnt from
    references: References
    threshold: float | None  # of the release: higher scores are flagged
    scales: Mapping[str, float]  # of the release: that of each float output's tolerance
    held_out: int  # rows that the threshold was set on
    classes: tuple[str, ...]  # by label
    release: Mapping[str, Any]  # facts that go into the verdict as they are
    primary_is_made: bool = False  # since no outliers were given
    own_gates: tuple[OwnGate, ...] = ()  # those that the model brings
    latency: tuple[Latency, ...] = ()  # of the candidate's endpoint; empty: not measured
    machine: str = ""  # on which it was measured

    def __post_init__(self) -> None:
        wanted = {self.test, self.primary} if self.scores_rows else {self.test}
        if self.test == self.primary or not wanted <= self.sets.keys():
            raise WrongInput(
                f"test set {self.test!r} and primary outlier set {self.primary!r} have to be two of the sets "
                f"that were scored: {', '.join(self.sets)}"
            )
        if len(self.test_labels) != len(self.sets[self.test]):
            raise WrongInput(
                f"{self.test} has {len(self.sets[self.test])} test rows and {len(self.test_labels)} labels"
            )
        for scores in (self.candidate, *(rival.scores for rival in self.rivals)):
            for name, rows in self.sets.items():
                answered = rows_in(scores.sets.get(name, {}))
                if answered != len(rows) or not answered:
                    raise WrongInput(
                        f"version {scores.version} answered {answered} of {len(rows)} rows of {name}; "
                        "score the set again"
                    )

    @property
    def scores_rows(self) -> bool:
        """Whether the model says how far a row is from the training data."""
        return {SCORE, IN_DISTRIBUTION} <= self.answered.keys()

    @property
    def answered(self) -> Outputs:
        """What the candidate answered for the test rows."""
        return self.candidate.sets.get(self.test, {})

    @property
    def outliers(self) -> tuple[str, ...]:
        """The sets but the test set, the primary one first."""
        if not self.scores_rows:
            return ()
        others = (name for name in self.sets if name not in (self.test, self.primary))
        return self.primary, *others
