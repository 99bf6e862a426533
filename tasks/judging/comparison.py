"""Compares a candidate with versions of before, statistic by statistic, on the same images.

A candidate has to be shown to be no worse than a margin, and must not be surely worse: of the paired interval
of the difference, candidate minus rival, the lower end is above minus the margin, and the upper end is not
below zero. The first alone would let a loss through that is sure and smaller than the margin; the second
alone would let any loss through that too few images were asked to show.

Where no margin is set, it is what the draw of the images alone may do between two equally good models. Their
mistakes have something to do with each other, or nothing; in the second case, which is the worst, the
variance of the difference is twice that of one. On n images, that of an accuracy p is p (1 - p) / n, and that
of an AUROC is at most as large, with n of the smaller of the two sets (Birnbaum and Klose, 1957). So the
interval of the difference is at most sqrt(2) as wide as that of the rival alone, which is the margin. An
equally good candidate is found half such a width below its rival at worst, or it is surely worse, to which
chance brings one of 40 with intervals of 95 %; the lower end is half a width below that, and so above minus
the margin. Mistakes in common, which real models have, make the interval narrower than that. Wilson's is
taken, which does not shrink to nothing where the rival makes no mistake.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.judging.scores import Scores
from tasks.judging.statistics import Estimate, wilson


@dataclass(frozen=True)
class Rival:
    """A version that a candidate is compared with: what it answered, and in which statistics it counts."""

    scores: Scores
    roles: Mapping[str, str]  # by statistic: what the version is in it, as `production, best`


@dataclass(frozen=True)
class Comparison:
    """A candidate beside one version, in one statistic."""

    statistic: str
    version: int
    role: str
    difference: Estimate  # candidate minus rival, paired
    margin: float

    @property
    def passed(self) -> bool:
        """Whether the candidate is shown to be no worse than the margin, and is not surely worse."""
        return self.difference.low > -self.margin and self.difference.high >= 0

    def as_json(self) -> dict[str, Any]:
        """Give the comparison as it stands in verdict and receipt."""
        return {**asdict(self), "passed": self.passed}


def margin(value: float, images: int, *, confidence: float, wanted: float = 0.0) -> float:
    """Give by how much a candidate may be worse than a rival whose statistic is `value`, on `images`.

    `wanted` is the margin that was set (0: none was). Derived above.
    """
    if wanted > 0:
        return wanted
    alone = wilson(value * images, images, confidence)
    return math.sqrt(2) * (alone.high - alone.low)
