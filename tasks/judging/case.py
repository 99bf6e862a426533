"""All that a verdict is reached on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import WrongInput
from tasks.judging.comparison import Rival
from tasks.judging.latency import Latency
from tasks.judging.scores import Scores, SetScores
from tasks.release.parity import Answers

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class References:
    """What the release answers without a server: the outputs of `serving_default` by set.

    They may cover some of the sets only.
    """

    saved_model: Mapping[str, Answers]
    litert: Mapping[str, Answers]


@dataclass(frozen=True)
class Case:
    """A candidate, what it is compared with, and the images that it answered.

    Raises WrongInput when the parts do not fit together.
    """

    candidate: Scores
    rivals: tuple[Rival, ...]  # what it is compared with, which answered the same sets
    sets: Mapping[str, Images]  # uint8 (N, 28, 28) by name
    test: str  # which of the sets holds the test images
    primary: str  # which of the sets holds the primary outliers
    wanted: str  # which set was to hold them, and does where it could be had
    test_labels: NDArray[np.integer[Any]]  # (N,)
    train_images: Images  # those that the networks learnt from
    references: References
    threshold: float  # of the release: higher scores are flagged
    scales: Mapping[str, float]  # of the release: that of each float output's tolerance
    release: Mapping[str, Any]  # facts that go into the verdict as they are
    latency: tuple[Latency, ...] = ()  # of the candidate's endpoint; empty: not measured
    machine: str = ""  # on which it was measured

    def __post_init__(self) -> None:
        if self.test == self.primary or not {self.test, self.primary} <= self.sets.keys():
            raise WrongInput(
                f"test set {self.test!r} and primary outlier set {self.primary!r} have to be two of the sets "
                f"that were scored: {', '.join(self.sets)}"
            )
        if len(self.test_labels) != len(self.sets[self.test]):
            raise WrongInput(
                f"{self.test} has {len(self.sets[self.test])} test images and {len(self.test_labels)} labels"
            )
        for scores in (self.candidate, *(rival.scores for rival in self.rivals)):
            for name, images in self.sets.items():
                answered = len(scores.sets.get(name, ()))
                if answered != len(images) or not answered:
                    raise WrongInput(
                        f"version {scores.version} answered {answered} of {len(images)} images of {name}; "
                        "score the set again"
                    )

    @property
    def answered(self) -> SetScores:
        """What the candidate answered for the test images."""
        return self.candidate.sets[self.test]

    @property
    def outliers(self) -> tuple[str, ...]:
        """The sets but the test set, the primary one first."""
        others = (name for name in self.sets if name not in (self.test, self.primary))
        return self.primary, *others
