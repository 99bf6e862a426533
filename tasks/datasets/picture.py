"""One picture of a user: from the bytes of a PNG or JPEG file to an array, and to another size.

An array is uint8, (H, W) where it is grey and (H, W, 3) where it has colours.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tasks.datasets.pictures import Unreadable

Pixels = NDArray[np.uint8]

MOST_PIXELS = 50_000_000
MOST_BYTES = 1 << 28
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # the tag of EXIF
_PNG_DEPTH = 24  # where a PNG file says how many bits a channel has

PALETTE = "with a palette, brought to colours"
ALPHA = "transparent, laid on black"
TURNED = "turned as the EXIF orientation says"
CMYK = "in CMYK, brought to colours"


def read_picture(data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    """Give the pixels of a PNG or JPEG file, and what was done to it; raises Unreadable with the reason.

    Its size is read before any pixel, and one of more than MOST_PIXELS is never decoded.
    """
    if not data:
        raise Unreadable("empty file")
    if data.startswith(_PNG) and data[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10":
        raise Unreadable("16 bits per channel; only 8 are read")
    with _readable(), Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise Unreadable(f"{picture.width} x {picture.height} pixels are more than {MOST_PIXELS:,}")
        if picture.format == "PNG" and getattr(picture, "is_animated", False):
            raise Unreadable("animated")
        done = []
        upright = ImageOps.exif_transpose(picture)
        if picture.getexif().get(_ORIENTATION) in range(2, 9):
            done.append(TURNED)
        return np.asarray(_eight_bits(upright, done)), tuple(done)


def _eight_bits(picture: Image.Image, done: list[str]) -> Image.Image:
    """The picture as 8-bit grey or colours."""
    if picture.has_transparency_data:
        done.append(ALPHA)
        grey = picture.mode in ("1", "L", "LA", "La")
        with_alpha = picture.convert("RGBA")
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, with_alpha).convert("L" if grey else "RGB")
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "P":
        done.append(PALETTE)
        return picture.convert("RGB")
    if picture.mode == "CMYK":
        done.append(CMYK)
        return picture.convert("RGB")
    raise Unreadable(f"mode {picture.mode}; only 8 bits of grey or colours are read")


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever Pillow says of a broken file becomes a reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF data that is broken
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except UnidentifiedImageError as error:
        raise Unreadable("not a PNG or JPEG picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(f"far more pixels than {MOST_PIXELS:,}") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        LookupError,
        EOFError,
        TypeError,
        struct.error,
        zlib.error,
    ) as error:
        raise Unreadable(f"broken picture ({error})") from error


def fit(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Bring a picture to (H, W), (H, W, 1) or (H, W, 3).

    Grey becomes colours by repeating it, colours become grey by their luma (ITU-R 601). It is scaled to fit,
    its proportions kept, and centred; what stays empty gets the mean of the scaled picture's border, channel
    by channel.
    """
    if pixels.shape == shape:
        return pixels
    colour = len(shape) == 3 and shape[2] == 3
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB" if colour else "L")
    height, width = shape[:2]
    if picture.size != (width, height):
        scale = min(width / picture.width, height / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    fitted = np.asarray(picture)
    if fitted.shape[:2] != (height, width):
        canvas = np.empty((height, width, *fitted.shape[2:]), np.uint8)
        canvas[:] = np.rint(border(fitted).mean(axis=0)).astype(np.uint8)
        top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        fitted = canvas
    return fitted.reshape(shape)


def border(pixels: Pixels) -> Pixels:
    """Give the pixels at the edges, (N,) or (N, 3), corners twice."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
