"""Letters A to J drawn from fonts, the way notMNIST was made: white on black, stretched over the picture.

In notMNIST nine letters of ten touch all four edges, an I too: its proportions are not kept. See
https://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from settings.errors import Stopped
from tasks.datasets.arrays import ArrayWriter, images_file, labels_file
from tasks.datasets.catalogue import LETTERS, SIDE
from tasks.datasets.fonts import FontFile

logger = logging.getLogger(__name__)

_SIZE = 96  # pixels of the em square that letters are drawn at, before they are scaled down
_UNMAPPED = "\U000ffffd"  # a private character: a font shows its sign for what it lacks
_SYMBOLS = re.compile(
    r"symbol|dingbat|d050000l|emoji|icon|ornament|music|braille|barcode|w[ei][bn]gdings|fallback",
    re.IGNORECASE,
)
_FAINT = 127  # a picture that is nowhere brighter shows nothing of its letter
_MOST_ROUNDS = 2_000


@dataclass(frozen=True)
class Variant:
    """How a letter is drawn; the default is plain and fills the picture.

    `weight`: pixels at the drawing's size by which strokes grow, or shrink where negative; `slant`: sideways
    shift per pixel of height; `extent`: width and height in pixels; `place`: of its left upper corner, in
    pixels.
    """

    weight: int = 0
    slant: float = 0.0
    extent: tuple[int, int] = (SIDE, SIDE)
    place: tuple[int, int] = (0, 0)


class NoLetters(Exception):  # noqa: N818
    """A font cannot be used; the message is the reason."""


def draw_all(
    fonts: Sequence[FontFile], folder: Path, *, count: int, seed: int, should_stop: Callable[[], bool]
) -> tuple[list[str], list[dict[str, str]]]:
    """Write `count` different letters as test images and labels (0: A), in a random order.

    Each font draws each letter plain first, then rounds of variants follow until there are enough. Gives the
    names of the fonts used, and the fonts left out with the reason. Raises NoLetters where no font can be
    used. Deterministic for the fonts, the seed and the versions of Pillow and FreeType.
    """
    usable, left_out = _usable(fonts, should_stop)
    if not usable:
        raise NoLetters("no font there draws letters")
    generator = np.random.default_rng(seed)
    drawn: dict[bytes, int] = {}  # pixels to label: the same picture counts once
    for number in range(_MOST_ROUNDS):
        if len(drawn) >= count:
            break
        for _, font in usable:
            if should_stop():
                raise Stopped("stopped while drawing letters")
            for label, letter in enumerate(LETTERS):
                variant = _any_variant(generator) if number else Variant()
                picture = draw(font, letter, variant)
                if picture is not None:
                    drawn.setdefault(picture.tobytes(), label)
    chosen = list(drawn.items())[:count]
    with (
        ArrayWriter(folder / images_file("test"), (SIDE, SIDE)) as images,
        ArrayWriter(folder / labels_file("test"), ()) as labels,
    ):
        for index in generator.permutation(len(chosen)):
            pixels, label = chosen[index]
            images.append(pixels)
            labels.append(bytes([label]))
    return [name for name, _ in usable], left_out


def draw(font: ImageFont.FreeTypeFont, letter: str, variant: Variant) -> NDArray[np.uint8] | None:
    """A letter as uint8 (28, 28), or None where the variant leaves nothing of it."""
    stroke = max(variant.weight, 0)
    left, top, right, bottom = font.getbbox(letter, stroke_width=stroke)
    width, height = int(right - left), int(bottom - top)
    if width < 1 or height < 1:
        return None
    margin = int(abs(variant.slant) * height) + 1
    large = Image.new("L", (width + 2 * margin, height + 2))
    ImageDraw.Draw(large).text((margin - left, 1 - top), letter, 255, font, stroke_width=stroke)
    if variant.weight < 0:
        large = large.filter(ImageFilter.MinFilter(1 - 2 * variant.weight))
    if variant.slant:
        # The middle row stays where it is.
        shear = (1, variant.slant, -variant.slant * large.height / 2, 0, 1, 0)
        large = large.transform(large.size, Image.Transform.AFFINE, shear, Image.Resampling.BICUBIC)
    box = large.getbbox()
    if box is None:
        return None
    picture = Image.new("L", (SIDE, SIDE))
    picture.paste(large.crop(box).resize(variant.extent, Image.Resampling.BICUBIC), variant.place)
    pixels = np.asarray(picture)  # (28, 28) uint8
    return pixels if pixels.max() > _FAINT else None


def _any_variant(generator: np.random.Generator) -> Variant:
    width, height = (int(side) for side in generator.integers(SIDE - 2, SIDE, 2, endpoint=True))
    return Variant(
        weight=int(generator.integers(-1, 3, endpoint=True)),
        slant=float(generator.uniform(-0.2, 0.3)),
        extent=(width, height),
        place=(
            int(generator.integers(0, SIDE - width, endpoint=True)),
            int(generator.integers(0, SIDE - height, endpoint=True)),
        ),
    )


def _usable(
    fonts: Sequence[FontFile], should_stop: Callable[[], bool]
) -> tuple[list[tuple[str, ImageFont.FreeTypeFont]], list[dict[str, str]]]:
    usable, left_out = [], []
    for file in fonts:
        if should_stop():
            raise Stopped("stopped while loading fonts")
        try:
            usable.append((file.name, _load(file)))
        except NoLetters as reason:
            left_out.append({"file": file.name, "reason": str(reason)})
    return usable, left_out


def _load(file: FontFile) -> ImageFont.FreeTypeFont:
    """The font at the drawing's size; raises NoLetters with the reason."""
    if _SYMBOLS.search(file.name):
        raise NoLetters("a font of symbols")
    try:
        font = _open(file)
        if _SYMBOLS.search(" ".join(name or "" for name in font.getname())):
            raise NoLetters("a font of symbols")
        pictures = [draw(font, letter, Variant()) for letter in LETTERS]
        lacking = draw(font, _UNMAPPED, Variant())
    except (OSError, ValueError) as error:
        raise NoLetters(f"not a readable font ({error})") from error
    for letter, picture in zip(LETTERS, pictures, strict=True):
        if picture is None:
            raise NoLetters(f"its {letter} is blank")
        if lacking is not None and np.array_equal(picture, lacking):
            raise NoLetters(f"it has no {letter}")
    if len({picture.tobytes() for picture in pictures if picture is not None}) < len(LETTERS):
        raise NoLetters("it draws two letters alike")
    return font


def _open(file: FontFile) -> ImageFont.FreeTypeFont:
    if file.data:
        # The basic layout is the one that every build of Pillow has.
        return ImageFont.truetype(io.BytesIO(file.data), _SIZE, layout_engine=ImageFont.Layout.BASIC)
    font = ImageFont.load_default(_SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise NoLetters("this Pillow is built without FreeType")
    return font
