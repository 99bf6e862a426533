from __future__ import annotations

import numpy as np

from tasks.judging.leak import count_leaked


def test_test_images_among_the_training_images_are_counted() -> None:
    """An image counts as often as it stands in the test set, and not when one byte differs."""
    images = np.random.default_rng(1).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    train, test = images[:30], images[28:].copy()
    assert count_leaked(train, test) == 2
    test[0, 0, 0] ^= 1
    assert count_leaked(train, test) == 1
    test[3:5] = train[0]
    assert count_leaked(train, test) == 3
