from __future__ import annotations

import numpy as np
import pytest

from tasks.datasets.pixels import scale


def test_black_is_0_and_white_is_1() -> None:
    """Stored pixels 0..255 become float32 0..1, rounded as a division is."""
    scaled = scale(np.array([[[0, 51, 255]]], np.uint8))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[[0.0, np.float32(51) / np.float32(255), 1.0]]]


def test_no_images() -> None:
    """No images stay no images."""
    assert scale(np.zeros((0, 28, 28), np.uint8)).shape == (0, 28, 28)


def test_what_is_scaled_is_not_scaled_again() -> None:
    """Rows of float32 stay as they are; rows of any other type are an error."""
    rows = np.full((1, 3), 0.5, np.float32)
    assert scale(rows) is rows
    with pytest.raises(TypeError, match="int64"):
        scale(np.zeros((1, 28, 28), np.int64))
