"""Whether test images were trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def count_leaked(train_images: NDArray[np.uint8], test_images: NDArray[np.uint8]) -> int:
    """Give how many of the test images (N, 28, 28) occur, byte for byte, among the training images."""
    test = [image.tobytes() for image in test_images]
    wanted = set(test)
    found = {content for content in (image.tobytes() for image in train_images) if content in wanted}
    return sum(content in found for content in test)
