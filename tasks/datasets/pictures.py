"""notMNIST's archives: a .tar.gz of PNG pictures, 28 x 28, in folders A to J that are their labels."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image, UnidentifiedImageError

from settings.errors import Stopped
from tasks.datasets.arrays import ArrayWriter
from tasks.datasets.catalogue import LETTERS, SIDE
from tasks.datasets.containers import members, plain, readable
from tasks.datasets.errors import Refused

_PICTURE = re.compile(r"(?:\./)?[^/]+/([A-J])/[^/]+\.png")
_LARGEST_PICTURE = 1 << 16
# A picture takes a header and a block or two in the archive, a long name a few more.
_AVERAGE_MEMBER = 1 << 13
_FOLDERS_AND_STRAYS = 100
_CHUNK = 1 << 20


class Quarantined(TypedDict):
    """A file that is left out, and why."""

    file: str
    reason: str


class Unreadable(Exception):  # noqa: N818
    """A picture cannot be used; the message is the reason."""


def decode_archive(
    stream: io.BufferedReader,
    images: Path,
    labels: Path,
    *,
    count: int,
    unreadable: int,
    size: int,
    digest: str,
    shown: str,
    should_stop: Callable[[], bool],
) -> list[Quarantined]:
    """Write the pictures of an archive as .npy files, uint8 (count, 28, 28) and (count,), in its order.

    The stream has to be a file, since its size and digest are checked before a byte of it is parsed. Gives
    the unreadable pictures; more than `unreadable` of them, or another number of good ones than `count`, is
    an error. Memory: 8 bytes per picture, whatever the archive's size.
    """
    _check_file(stream, size, digest, shown, should_stop)
    most_members = count + unreadable + _FOLDERS_AND_STRAYS
    quarantined: list[Quarantined] = []
    names = array("Q")
    with (
        readable(shown),
        ArrayWriter(images, (SIDE, SIDE)) as image_writer,
        ArrayWriter(labels, ()) as label_writer,
    ):
        unpacked = plain(stream)
        limit = most_members * _AVERAGE_MEMBER
        for member in members(unpacked, shown, most_bytes=limit, most_members=most_members):
            if should_stop():
                raise Stopped(f"stopped while decoding {shown}")
            if member.name.rpartition("/")[2].startswith("."):
                continue  # what a desktop leaves in folders
            names.append(_fingerprint(member.name))
            try:
                label = _label(member.name)
                if member.size > _LARGEST_PICTURE:
                    raise Unreadable(f"{member.size:,} bytes are too many for a picture")
                pixels = decode_picture(member.stream.read())
            except Unreadable as reason:
                quarantined.append({"file": member.name, "reason": str(reason)})
                if len(quarantined) > unreadable:
                    raise Refused(
                        f"{shown}: more than {unreadable} unreadable pictures, the last is {member.name!r}: "
                        f"{reason}"
                    ) from reason
                continue
            image_writer.append(pixels)
            label_writer.append(bytes([label]))
        if image_writer.count != count:
            raise Refused(f"{shown}: holds {image_writer.count:,} readable pictures, expected {count:,}")
        if len(np.unique(np.frombuffer(names, np.uint64))) != len(names):
            raise Refused(f"{shown}: holds two members of the same name")
    return quarantined


def decode_picture(data: bytes) -> bytes:
    """The 784 bytes of an 8-bit grey PNG picture of 28 x 28 pixels; raises Unreadable with the reason."""
    if not data:
        raise Unreadable("empty file")
    try:
        # Only the header is read here: the size is known before any pixel is.
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.size != (SIDE, SIDE):
                width, height = picture.size
                raise Unreadable(f"{width} x {height} pixels, expected {SIDE} x {SIDE}")
            if picture.mode != "L":
                raise Unreadable(f"mode {picture.mode}, expected 8-bit grey")
            return picture.tobytes()
    except UnidentifiedImageError as error:
        raise Unreadable("not a PNG picture") from error
    except (OSError, SyntaxError, ValueError, LookupError, EOFError, struct.error, zlib.error) as error:
        raise Unreadable(f"broken PNG ({error})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable("far too many pixels") from error


def _label(name: str) -> int:
    match = _PICTURE.fullmatch(name)
    if match is None:
        raise Unreadable("not a picture in a folder A to J")
    return LETTERS.index(match[1])


def _fingerprint(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest())


def _check_file(
    stream: io.BufferedReader, size: int, digest: str, shown: str, should_stop: Callable[[], bool]
) -> None:
    there = os.fstat(stream.fileno()).st_size
    if there != size:
        raise Refused(f"{shown}: has {there:,} bytes, expected {size:,}")
    algorithm, _, expected = digest.partition(":")
    seen = hashlib.new(algorithm, usedforsecurity=False)
    while piece := stream.read(_CHUNK):
        seen.update(piece)
        if should_stop():
            raise Stopped(f"stopped while reading {shown}")
    if seen.hexdigest() != expected:
        actual = f"{algorithm}:{seen.hexdigest()}"
        raise Refused(f"{shown}: its {algorithm} is {seen.hexdigest()}, not {expected}", actual)
    stream.seek(0)
