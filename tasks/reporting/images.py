"""Small greyscale images inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.reporting.markup import Markup, tag


def picture(image: NDArray[np.uint8], alt: str, caption: str) -> Markup:
    """Give an image (28, 28) as a figure: the PNG within the page, a text in its place, a line below."""
    content = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(content, "PNG")
    address = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    height, width = image.shape
    return tag(
        "figure",
        tag("img", src=address, alt=alt, width=2 * width, height=2 * height),
        tag("figcaption", caption),
    )
