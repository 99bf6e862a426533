"""The one way from stored rows to what the networks take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WHITE = 255


def scale(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Stored rows of any shape as the networks take them: uint8 0..255 to 0..1, float32 as it is.

    Raises TypeError for any other type.
    """
    if rows.dtype == np.float32:
        return rows
    if rows.dtype != np.uint8:
        raise TypeError(f"rows are stored as uint8 or float32, these are {rows.dtype}")
    scaled: NDArray[np.float32] = np.divide(rows, np.float32(WHITE), dtype=np.float32)
    return scaled
