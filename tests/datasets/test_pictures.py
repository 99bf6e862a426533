from __future__ import annotations

import hashlib
import os
import struct
import tarfile
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped
from tasks.datasets.errors import Refused
from tasks.datasets.pictures import Quarantined, Unreadable, decode_archive, decode_picture

Archive = Callable[[list[tuple[str | tarfile.TarInfo, bytes]]], bytes]
Png = Callable[..., bytes]

PICTURES = np.random.default_rng(2).integers(0, 256, (20, 28, 28), np.uint8)


@pytest.fixture
def good(png: Png) -> list[tuple[str | tarfile.TarInfo, bytes]]:
    """Two pictures in each of the folders A to J."""
    return [(f"set/{'ABCDEFGHIJ'[index // 2]}/{index}.png", png(PICTURES[index])) for index in range(20)]


def decode(data: bytes, folder: Path, **changed: Any) -> list[Quarantined]:
    path = folder / "set.tar.gz"
    path.write_bytes(data)
    told: dict[str, Any] = {
        "count": 20,
        "unreadable": 2,
        "size": len(data),
        "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "shown": "set.tar.gz",
        "should_stop": lambda: False,
    }
    with path.open("rb") as stream:
        return decode_archive(stream, folder / "images.npy", folder / "labels.npy", **(told | changed))


def test_decodes(archive: Archive, good: list[Any], tmp_path: Path) -> None:
    """Pictures and the labels of their folders come in the archive's order, and nothing else is written."""
    data = archive(list(reversed(good)))
    assert decode(data, tmp_path) == []
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), PICTURES[::-1])
    assert np.load(tmp_path / "labels.npy").tolist() == [index // 2 for index in reversed(range(20))]
    assert {path.name for path in tmp_path.iterdir()} == {"set.tar.gz", "images.npy", "labels.npy"}


def test_quarantines_unreadable_pictures(archive: Archive, good: list[Any], tmp_path: Path) -> None:
    """An unreadable picture is left out and listed with the reason, and never becomes a black one."""
    members = [*good[:5], ("set/A/empty.png", b""), *good[5:], ("set/F/cut.png", good[0][1][:60])]
    quarantined = decode(archive(members), tmp_path)
    assert [each["file"] for each in quarantined] == ["set/A/empty.png", "set/F/cut.png"]
    assert quarantined[0]["reason"] == "empty file"
    assert quarantined[1]["reason"].startswith("broken PNG")
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), PICTURES)


def test_ignores_what_a_desktop_leaves(archive: Archive, good: list[Any], tmp_path: Path) -> None:
    """Hidden files count as nothing."""
    assert decode(archive([("set/A/.DS_Store", b"x"), ("set/._A.png", b"x"), *good]), tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda good: [(f"set/A/{n}.png", b"") for n in range(3)] + good, "more than 2 unreadable pictures"),
        (lambda good: good[:-1], "holds 19 readable pictures, expected 20"),
        (lambda good: [*good, ("set/A/more.png", good[0][1])], "holds 21 readable pictures, expected 20"),
        (lambda good: [*good[:-1], good[0]], "holds two members of the same name"),
        (lambda good: [("../A/x.png", b"x"), *good], "leads out of the archive"),
    ],
)
def test_refuses_other_contents(
    archive: Archive, good: list[Any], tmp_path: Path, change: Callable[[list[Any]], list[Any]], message: str
) -> None:
    """More broken pictures than expected, fewer or more good ones, doubles: refused, with nothing left."""
    with pytest.raises(Refused, match=rf"^set\.tar\.gz: .*{message}"):
        decode(archive(change(good)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["set.tar.gz"]


@pytest.mark.parametrize("name", ["set/K/x.png", "set/A/x.jpg", "A/x.png", "set/AB/x.png", "set/A/b/x.png"])
def test_quarantines_strays(archive: Archive, good: list[Any], tmp_path: Path, name: str) -> None:
    """A file that is no picture in a folder A to J has no label."""
    assert decode(archive([(name, good[0][1]), *good]), tmp_path) == [
        {"file": name, "reason": "not a picture in a folder A to J"}
    ]


def test_checks_the_file_before_parsing(archive: Archive, good: list[Any], tmp_path: Path) -> None:
    """Another size or digest than published is refused before a member is read."""
    data = archive(good)
    with pytest.raises(Refused, match=f"has {len(data):,} bytes, expected 7"):
        decode(data, tmp_path, size=7)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    with pytest.raises(Refused, match=f"its md5 is {md5}, not 00"):
        decode(data, tmp_path, digest="md5:00")


def test_stops(archive: Archive, good: list[Any], tmp_path: Path) -> None:
    """The stop flag is read between pictures."""
    asked: list[None] = []
    with pytest.raises(Stopped):
        decode(archive(good), tmp_path, should_stop=lambda: asked.append(None) or len(asked) > 5)
    assert [path.name for path in tmp_path.iterdir()] == ["set.tar.gz"]


def test_thousands_of_pictures(archive: Archive, png: Png, tmp_path: Path) -> None:
    """Memory does not grow with the number of pictures, and a thousand take no two seconds."""
    pictures = [(f"set/A/{index}.png", png(PICTURES[index % 20])) for index in range(3_000)]
    data = archive(pictures)
    began = time.monotonic()
    decode(data, tmp_path, count=3_000)
    assert time.monotonic() - began < 6
    tracemalloc.start()
    decode(data, tmp_path, count=3_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000 + len(data) // 10


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int) -> bytes:
    """A PNG file that says it has so many pixels, and has none."""
    said = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + said + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_picture(png: Png) -> None:
    """A picture is its 784 bytes, row by row."""
    assert decode_picture(png(PICTURES[0])) == PICTURES[0].tobytes()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"GIF89a" + bytes(50), "not a PNG picture"),
        (header(28, 27), "28 x 27 pixels, expected 28 x 28"),
        (header(100_000, 100_000), "too many pixels"),
        (header(28, 28), "broken PNG"),
    ],
)
def test_refuses_pictures(data: bytes, reason: str) -> None:
    """What is wrong with a picture is its reason; no pixel is read before its size is known."""
    with pytest.raises(Unreadable, match=reason):
        decode_picture(data)


def test_refuses_a_chunk_that_is_too_short_for_what_it_is(png: Png) -> None:
    """A colour profile without a byte, on which Pillow gives an IndexError, is a broken picture."""
    whole = png(PICTURES[0])
    with pytest.raises(Unreadable, match="broken PNG"):
        decode_picture(whole[:-12] + chunk(b"iCCP", b"") + whole[-12:])


@pytest.mark.parametrize(("mode", "shown"), [("RGB", "RGB"), ("P", "P"), ("1", "1"), ("LA", "LA")])
def test_refuses_other_modes(png: Png, mode: str, shown: str) -> None:
    """A colour or palette picture is not what was published, and is not converted."""
    with pytest.raises(Unreadable, match=f"mode {shown}, expected 8-bit grey"):
        decode_picture(png(PICTURES[0], mode))


def test_refuses_random_damage(png: Png) -> None:
    """Whatever is broken, it is Unreadable or the very pixels, and never another error."""
    whole = png(PICTURES[0])
    generator = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(8, len(whole), 3):
            damaged[place] = os.urandom(1)[0]
        try:
            pixels = decode_picture(bytes(damaged))
        except Unreadable:
            continue
        assert len(pixels) == 784
