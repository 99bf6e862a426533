"""The one way from stored pixels to what the networks take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WHITE = 255


def scale(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The images as the networks take them: uint8 0..255, any shape, to float32 0..1 of the same shape.

    Raises TypeError for anything but uint8: what is scaled already would be scaled twice.
    """
    if images.dtype != np.uint8:
        raise TypeError(f"pixels are scaled from uint8, these are {images.dtype}")
    return np.divide(images, np.float32(WHITE), dtype=np.float32)
