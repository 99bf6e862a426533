"""The known images that a release carries with its answers, to probe a server with."""

from __future__ import annotations

import numpy as np

from settings.errors import WrongInput

IN_DISTRIBUTION = 10


def golden_images(held_out: np.ndarray, in_distribution: np.ndarray) -> np.ndarray:
    """Give float32 (16, 28, 28): ten held-out images, two of noise, a black and a white one, two dimmed.

    `held_out` is float32 (H, 28, 28) in 0..1, `in_distribution` bool (H,): the ten are the first that are
    in distribution, then the first of the others if there are fewer.
    """
    if len(held_out) < IN_DISTRIBUTION:
        raise WrongInput(
            f"{len(held_out)} held-out images are too few, at least {IN_DISTRIBUTION} are needed; "
            "raise data.held_out"
        )
    first = held_out[np.argsort(~in_distribution, kind="stable")[:IN_DISTRIBUTION]]
    noise = np.random.default_rng(0).random((2, 28, 28), dtype=np.float32)
    blank = np.stack([np.zeros((28, 28)), np.ones((28, 28))])
    dimmed = first[:2] * np.float32(0.3)
    return np.concatenate([first, noise, blank, dimmed], dtype=np.float32)
