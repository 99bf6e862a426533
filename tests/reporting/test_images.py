from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tasks.reporting.images import is_picture, picture


def test_a_picture_is_a_png_with_a_text_in_its_place() -> None:
    """The pixels are those of the image, and the text is escaped."""
    image = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    figure = picture(image, 'a "4"', "p < 1")
    found = re.search(r'src="data:image/png;base64,([^"]+)" alt="a &quot;4&quot;"', figure)
    assert found is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1])))), image)
    assert "<figcaption>p &lt; 1</figcaption>" in figure


@pytest.mark.parametrize(("shape", "size"), [((20, 30, 1), (30, 20)), ((32, 48, 3), (48, 32))])
def test_a_picture_with_channels(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """One channel is grey, three are a colour; height and width keep their relation."""
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    figure = picture(image, "", "")
    found = re.search(r'src="data:image/png;base64,([^"]+)" alt="" width="(\d+)" height="(\d+)"', figure)
    assert found is not None
    shown = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert shown.size == size
    assert np.array_equal(np.asarray(shown).reshape(shape), image)
    assert (int(found[2]), int(found[3])) == size


@pytest.mark.parametrize(
    ("row", "can"),
    [
        (np.zeros((8, 8), np.uint8), True),
        (np.zeros((8, 8, 3), np.uint8), True),
        (np.zeros((8, 8, 2), np.uint8), False),
        (np.zeros((8, 8), np.float32), False),
        (np.zeros(12, np.uint8), False),
        (np.zeros((4, 8, 8, 3), np.uint8), False),
    ],
)
def test_what_can_be_drawn(row: np.ndarray, can: bool) -> None:
    """Bytes of height and width, and one or three channels."""
    assert is_picture(row) is can
