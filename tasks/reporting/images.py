"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.reporting.markup import Markup, tag

SIDE = 56  # pixels at most on the page, at which a small picture is drawn


def is_picture(row: NDArray[Any]) -> bool:
    """Tell whether a row can be drawn: uint8, of height and width, and one or three channels."""
    return row.dtype == np.uint8 and (row.ndim == 2 or (row.ndim == 3 and row.shape[2] in (1, 3)))


def picture(image: NDArray[np.uint8], alt: str, caption: str) -> Markup:
    """Give a picture (H, W), (H, W, 1) or (H, W, 3) as a figure: PNG, a text in its place, a line below."""
    content = io.BytesIO()
    squeezed = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    Image.fromarray(np.asarray(squeezed)).save(content, "PNG")
    address = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    height, width = image.shape[:2]
    scale = max(1, SIDE // max(height, width))
    return tag(
        "figure",
        tag("img", src=address, alt=alt, width=scale * width, height=scale * height),
        tag("figcaption", caption),
    )
