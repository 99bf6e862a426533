from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from tasks.reporting.images import picture


def test_a_picture_is_a_png_with_a_text_in_its_place() -> None:
    """The pixels are those of the image, and the text is escaped."""
    image = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    figure = picture(image, 'a "4"', "p < 1")
    found = re.search(r'src="data:image/png;base64,([^"]+)" alt="a &quot;4&quot;"', figure)
    assert found is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1])))), image)
    assert "<figcaption>p &lt; 1</figcaption>" in figure
