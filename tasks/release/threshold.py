"""Where the score parts in-distribution from out-of-distribution."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from settings.errors import WrongInput


def choose_threshold(scores: np.ndarray, false_positive_rate: float) -> np.float32:
    """Give the lowest of the scores (H,) that flags at most the asked-for share of them.

    A row is flagged where its score is greater than the threshold. This is the quantile
    1 - `false_positive_rate` by the inverse of the empirical distribution (definition 1 of Hyndman and Fan,
    Sample Quantiles in Statistical Packages, 1996): no interpolation, so the share flagged is never above
    the rate, and below it by less than 1/H where no scores are equal.
    """
    if not scores.size:
        raise WrongInput("no held-out rows to set the threshold on; raise data.held_out")
    if not np.isfinite(scores).all():
        raise WrongInput(
            f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores of held-out rows are not "
            "finite; lower the learning rate of the network that scores, and train again"
        )
    # As the decimal that the user wrote: 0.29 * 100 is 28.999... in floating point.
    may_be_flagged = math.floor(Fraction(str(false_positive_rate)) * scores.size)
    return np.float32(np.sort(scores)[max(scores.size - 1 - may_be_flagged, 0)])
