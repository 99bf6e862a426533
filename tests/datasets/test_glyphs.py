from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from settings.errors import Stopped
from tasks.datasets.arrays import load
from tasks.datasets.fonts import FontFile
from tasks.datasets.glyphs import NoLetters, Variant, draw, draw_all

PILLOWS = FontFile("Pillow", b"")


@pytest.fixture
def font() -> ImageFont.FreeTypeFont:
    """The font that Pillow carries."""
    font = ImageFont.load_default(96)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def test_a_letter_fills_its_picture(font: ImageFont.FreeTypeFont) -> None:
    """A plain letter is white on black and touches all four edges, narrow ones too."""
    for letter in "AHI":
        picture = draw(font, letter, Variant())
        assert picture is not None
        assert (picture.shape, picture.dtype) == ((28, 28), np.uint8)
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert edge.max() > 60


def test_a_letter_is_that_letter(font: ImageFont.FreeTypeFont) -> None:
    """An H has a bar in its middle and is black above and below it; its mirror image is the same."""
    picture = draw(font, "H", Variant())
    assert picture is not None
    assert picture[14, 14] > 200
    assert picture[[2, 25], 14].tolist() == [0, 0]
    assert np.abs(picture.astype(int) - picture[:, ::-1]).mean() < 12


def test_edges_are_smooth(font: ImageFont.FreeTypeFont) -> None:
    """Letters are antialiased: greys stand between black and white."""
    picture = draw(font, "A", Variant())
    assert picture is not None
    assert ((picture > 20) & (picture < 235)).sum() > 30


def test_weight(font: ImageFont.FreeTypeFont) -> None:
    """More weight is more white."""
    pictures = [draw(font, "E", Variant(weight=weight)) for weight in (-1, 0, 3)]
    light, plain, bold = (picture.mean() for picture in pictures if picture is not None)
    assert light < plain < bold


def test_slant(font: ImageFont.FreeTypeFont) -> None:
    """A slant moves the top to the right of the bottom."""
    picture = draw(font, "H", Variant(slant=0.3))
    assert picture is not None
    across = np.arange(28)
    top, bottom = ((row * across).sum() / row.sum() for row in picture[[1, 26]].astype(float))
    assert top > bottom + 3


def test_extent_and_place(font: ImageFont.FreeTypeFont) -> None:
    """A smaller letter stands where it is put, in black."""
    picture = draw(font, "H", Variant(extent=(24, 26), place=(3, 1)))
    assert picture is not None
    assert picture[:, :3].max() == picture[:, 27:].max() == picture[:1].max() == picture[27:].max() == 0
    assert picture[1:27, 3].max() > 127


def test_draws_as_many_as_told(tmp_path: Path) -> None:
    """One font is enough for any number of different letters, all ten about as often, in a mixed order."""
    used, left_out = draw_all([PILLOWS], tmp_path, count=500, seed=1, should_stop=lambda: False)
    assert (used, left_out) == (["Pillow"], [])
    split = load(tmp_path, "test")
    assert split.labels is not None
    assert len({image.tobytes() for image in split.images}) == len(split.labels) == 500
    assert np.bincount(split.labels).min() >= 30
    assert set(split.labels[:60].tolist()) == set(range(10))


def test_same_seed_same_letters(tmp_path: Path) -> None:
    """The same fonts and seed give the same bytes, another seed others."""
    drawn = []
    for number, seed in enumerate([1, 1, 2]):
        folder = tmp_path / str(number)
        folder.mkdir()
        draw_all([PILLOWS], folder, count=60, seed=seed, should_stop=lambda: False)
        drawn.append(b"".join(path.read_bytes() for path in sorted(folder.iterdir())))
    assert drawn[0] == drawn[1] != drawn[2]


def test_leaves_out_what_draws_no_letters(tmp_path: Path) -> None:
    """A font of symbols and a broken file are listed with the reason."""
    fonts = [FontFile("Broken.ttf", b"no font"), FontFile("StandardSymbolsPS.otf", b"any"), PILLOWS]
    used, left_out = draw_all(fonts, tmp_path, count=10, seed=1, should_stop=lambda: False)
    assert used == ["Pillow"]
    assert [each["file"] for each in left_out] == ["Broken.ttf", "StandardSymbolsPS.otf"]
    assert left_out[0]["reason"].startswith("not a readable font")
    assert left_out[1]["reason"] == "a font of symbols"


def test_no_font(tmp_path: Path) -> None:
    """Without any font that draws letters there is nothing to write."""
    with pytest.raises(NoLetters):
        draw_all([FontFile("Broken.ttf", b"x")], tmp_path, count=10, seed=1, should_stop=lambda: False)
    assert list(tmp_path.iterdir()) == []


def test_stops(tmp_path: Path) -> None:
    """The stop flag is read between fonts."""
    answers = iter([False, False, True])
    with pytest.raises(Stopped):
        draw_all([PILLOWS], tmp_path, count=500, seed=1, should_stop=lambda: next(answers))
    assert list(tmp_path.iterdir()) == []
