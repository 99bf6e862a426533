"""One picture of a user: what it becomes, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.datasets.picture import ALPHA, CMYK, PALETTE, TURNED, fit, read_picture
from tasks.datasets.pictures import Unreadable

GREY = np.random.default_rng(1).integers(0, 256, (6, 5), np.uint8)
COLOURS = np.random.default_rng(2).integers(0, 256, (6, 5, 3), np.uint8)


def encoded(picture: Image.Image, form: str = "PNG", **how: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, form, **how)
    return target.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG file with whatever header and data."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("pixels", [GREY, COLOURS], ids=["grey", "colours"])
def test_png(pixels: np.ndarray) -> None:
    """Its pixels, byte by byte, and nothing to be told."""
    read, done = read_picture(encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(read, pixels)
    assert done == ()


def test_jpeg() -> None:
    """A JPEG file gives about what was put into it, in colours and in grey."""
    for mode, shape in (("RGB", (40, 50, 3)), ("L", (40, 50))):
        read, _ = read_picture(encoded(Image.new(mode, (50, 40), "white"), "JPEG"))
        assert (read.shape, int(read.min())) == (shape, 255)


def test_a_palette_becomes_colours() -> None:
    """The colours of the palette, and not the numbers of its entries."""
    picture = Image.fromarray(COLOURS).quantize(30)
    read, done = read_picture(encoded(picture))
    np.testing.assert_array_equal(read, np.asarray(picture.convert("RGB")))
    assert done == (PALETTE,)


@pytest.mark.parametrize(("mode", "shape"), [("RGBA", (2, 2, 3)), ("LA", (2, 2))])
def test_what_is_transparent_is_laid_on_black(mode: str, shape: tuple[int, ...]) -> None:
    """Fully transparent white is black, half of it is grey, opaque stays."""
    white = Image.new(mode, (2, 2), "white")
    white.putalpha(Image.fromarray(np.array([[0, 128], [255, 255]], np.uint8)))
    read, done = read_picture(encoded(white))
    assert read.shape == shape
    assert read.reshape(4, -1)[:, 0].tolist() == [0, 128, 255, 255]
    assert done == (ALPHA,)


def test_a_colour_that_means_transparent() -> None:
    """A PNG file can name one level as transparent, without an alpha channel."""
    read, done = read_picture(encoded(Image.fromarray(np.array([[200, 7]], np.uint8)), transparency=200))
    assert (read.tolist(), done) == ([[0, 7]], (ALPHA,))


def test_two_levels_become_grey() -> None:
    """A bit per pixel is black and white."""
    read, _ = read_picture(encoded(Image.fromarray(np.array([[True, False]]))))
    assert read.tolist() == [[255, 0]]


def test_cmyk() -> None:
    """The inks of a printer become colours."""
    read, done = read_picture(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert (read.shape, int(read.min()), done) == ((8, 8, 3), 255, (CMYK,))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_orientation_of_a_camera_is_applied(form: str) -> None:
    """6 means that the top of what was seen is at the right."""
    seen = np.zeros((16, 32), np.uint8)
    seen[:8] = 255  # bright above
    stored = Image.fromarray(np.rot90(seen))
    exif = Image.Exif()
    exif[0x0112] = 6
    read, done = read_picture(encoded(stored, form, exif=exif))
    assert read.shape == (16, 32)
    assert read[:6].min() > 200
    assert read[10:].max() < 55
    assert done == (TURNED,)


def animated() -> bytes:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    return encoded(frames[0], save_all=True, append_images=frames[1:])


REFUSED = {
    "empty": (b"", "empty file"),
    "text": (b"a,b\n1,2\n", "not a PNG or JPEG picture"),
    "gif": (encoded(Image.fromarray(GREY), "GIF"), "not a PNG or JPEG picture"),
    "cut png": (encoded(Image.fromarray(COLOURS))[:70], "broken picture"),
    "cut jpeg": (encoded(Image.new("L", (99, 99)), "JPEG")[:-40], "broken picture"),
    "16 bits of grey": (encoded(Image.fromarray(GREY.astype(np.uint16))), "16 bits per channel"),
    "16 bits of colour": (png(1, 1, 16, 2, bytes(7)), "16 bits per channel"),
    "animated": (animated(), "animated"),
    "large": (png(10_000, 6_000, 8, 0, b""), "10000 x 6000 pixels are more than 50,000,000"),
    "bomb": (png(40_000, 40_000, 8, 0, b""), "far more pixels than 50,000,000"),
    "wide bomb": (png(14_000, 10_000, 8, 2, b""), "far more pixels|more than 50,000,000"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    """Each has its reason, and of a bomb no pixel is decoded."""
    data, reason = REFUSED[what]
    with pytest.raises(Unreadable, match=reason):
        read_picture(data)


def test_damage_is_a_reason_and_no_other_error() -> None:
    """Whatever bytes are changed, there are pixels or a reason."""
    generator = np.random.default_rng(5)
    for whole in (encoded(Image.fromarray(COLOURS)), encoded(Image.fromarray(COLOURS), "JPEG")):
        for _ in range(150):
            damaged = bytearray(whole)
            for place in generator.integers(0, len(whole), 4):
                damaged[place] = int(generator.integers(0, 256))
            try:
                pixels, _ = read_picture(bytes(damaged))
            except Unreadable:
                continue
            assert pixels.dtype == np.uint8


def test_a_picture_of_the_size_stays_as_it_is() -> None:
    """No pixel is computed anew where there is nothing to do."""
    np.testing.assert_array_equal(fit(COLOURS, (6, 5, 3)), COLOURS)


def test_proportions_are_kept_and_the_border_is_filled_with_its_mean() -> None:
    """A wide picture gets bars above and below, of the mean of its edges."""
    wide = np.full((10, 20), 200, np.uint8)
    wide[:, 10:] = 100
    fitted = fit(wide, (20, 20))
    assert {*fitted[:5].ravel(), *fitted[15:].ravel()} == {150}
    np.testing.assert_array_equal(fitted[5:15], wide)
    tall = fit(wide.T, (20, 20))
    np.testing.assert_array_equal(tall, fitted.T)


def test_smaller_is_a_mean_and_not_a_choice_of_pixels() -> None:
    """Fine stripes become grey where there is no room for them."""
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    fitted = fit(stripes, (8, 8))
    assert abs(int(fitted[4, 4]) - 128) < 12


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (9, 9), (9, 9, 3), (1, 1, 3), (3, 40)])
@pytest.mark.parametrize("pixels", [GREY, COLOURS, GREY[..., None]], ids=["grey", "colours", "channel"])
def test_any_picture_to_any_shape(pixels: np.ndarray, shape: tuple[int, ...]) -> None:
    """Grey and colours, with and without an axis for channels."""
    fitted = fit(pixels, shape)
    assert (fitted.shape, fitted.dtype) == (shape, np.uint8)


def test_channels() -> None:
    """Grey becomes three equal channels; of colours, grey is the luma: green is the brightest."""
    np.testing.assert_array_equal(fit(GREY, (6, 5, 3)), np.repeat(GREY[..., None], 3, axis=2))
    primary = np.eye(3, dtype=np.uint8)[:, None] * np.uint8(255)  # red, green and blue, one below the other
    red, green, blue = fit(primary, (3, 1)).ravel().tolist()
    assert green > red > blue > 0
