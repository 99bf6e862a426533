"""The known rows that a release carries with its answers, to probe a server with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from settings.errors import WrongInput

if TYPE_CHECKING:
    from settings.model import Description

IN_DISTRIBUTION = 10


def golden_rows(held_out: np.ndarray, in_distribution: np.ndarray, description: Description) -> np.ndarray:
    """Give float32 (16, ...): ten held-out rows, two of noise, two of one value each, two dimmed.

    `held_out` is float32 (H, ...) as a network takes it, `in_distribution` bool (H,): the ten are the first
    that are in distribution, then the first of the others if there are fewer. The two rows of one value have
    the lowest and the highest that there is.
    """
    if len(held_out) < IN_DISTRIBUTION:
        raise WrongInput(
            f"{len(held_out)} held-out rows are too few, at least {IN_DISTRIBUTION} are needed; "
            "raise data.held_out"
        )
    low, high = description.model_range
    first = held_out[np.argsort(~in_distribution, kind="stable")[:IN_DISTRIBUTION]]
    noise = low + (high - low) * np.random.default_rng(0).random((2, *description.shape), dtype=np.float32)
    blank = np.stack([np.full(description.shape, value) for value in (low, high)])
    dimmed = low + (first[:2] - low) * np.float32(0.3)
    return np.concatenate([first, noise, blank, dimmed], dtype=np.float32)
