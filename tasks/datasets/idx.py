"""MNIST's IDX files: a magic number, the sizes of the axes, then the bytes.

The format: two zero bytes, the type (8: unsigned byte), the number of axes, each axis as a big-endian uint32.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from settings.errors import Stopped
from tasks.datasets.arrays import ArrayWriter
from tasks.datasets.errors import Refused

_UNSIGNED_BYTE = 8
_MOST_AXES = 8
_CHUNK_BYTES = 1 << 20
_CHUNK_ITEMS = {"images": 2_048, "labels": 65_536}


def decode_images(
    stream: IO[bytes],
    target: Path,
    *,
    shape: tuple[int, ...],
    digest: str,
    shown: str,
    should_stop: Callable[[], bool],
) -> None:
    """Write the images of an IDX stream to `target`, a .npy file of uint8 of that shape: (count, 28, 28)."""
    _decode(stream, target, "images", shape, 256, digest, shown, should_stop)


def decode_labels(
    stream: IO[bytes],
    target: Path,
    *,
    count: int,
    classes: int,
    digest: str,
    shown: str,
    should_stop: Callable[[], bool],
) -> None:
    """Write the labels of an IDX stream, each below `classes`, to `target`, a .npy file of uint8 (count,)."""
    _decode(stream, target, "labels", (count,), classes, digest, shown, should_stop)


def idx_header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of the IDX file of an array of bytes of that shape."""
    return struct.pack(f">{1 + len(shape)}I", _UNSIGNED_BYTE << 8 | len(shape), *shape)


def unpack_idx(stream: IO[bytes], target: Path, shown: str, should_stop: Callable[[], bool]) -> None:
    """Write any IDX stream of unsigned bytes to `target`, a .npy file of the shape that its header says."""
    magic = _read_exactly(stream, 4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or not 1 <= magic[3] <= _MOST_AXES:
        start = magic.hex() or "nothing"
        raise Refused(
            f"{shown}: starts with {start}; an IDX file of bytes starts with 00000801 to 0000080{_MOST_AXES}"
        )
    sizes = _read_exactly(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise Refused(f"{shown}: ends within its header")
    count, *item = struct.unpack(f">{magic[3]}I", sizes)
    left = count * prod(item)
    with ArrayWriter(target, tuple(item)) as writer:
        item_bytes = max(1, prod(item))
        chunk = max(1, _CHUNK_BYTES // item_bytes) * item_bytes
        while left:
            if should_stop():
                raise Stopped(f"stopped while reading {shown}")
            data = _read_exactly(stream, min(chunk, left))
            if len(data) < min(chunk, left):
                raise Refused(
                    f"{shown}: ends before the {_times((count, *item))} bytes that it says it holds"
                )
            writer.append(data)
            left -= len(data)
        if stream.read(1):
            raise Refused(
                f"{shown}: holds more than the {_times((count, *item))} bytes that it says it holds"
            )


def _decode(
    stream: IO[bytes],
    target: Path,
    content: str,
    shape: tuple[int, ...],
    above: int,
    digest: str,
    shown: str,
    should_stop: Callable[[], bool],
) -> None:
    """Copy piece by piece; every byte counts towards the digest, and no more are read than there must be."""
    count, *item = shape
    algorithm, _, expected = digest.partition(":")
    seen = hashlib.new(algorithm)
    seen.update(_check_header(stream, content, shape, shown))
    item_bytes = int(np.prod(item, dtype=np.int64))
    with ArrayWriter(target, tuple(item)) as writer:
        while writer.count < count:
            if should_stop():
                raise Stopped(f"stopped while decoding {shown}")
            wanted = min(_CHUNK_ITEMS[content], count - writer.count) * item_bytes
            data = _read_exactly(stream, wanted)
            if len(data) < wanted:
                there = writer.count + len(data) // item_bytes
                raise Refused(f"{shown}: ends after {there:,} of {count:,} {content}")
            if above < 256 and (highest := max(data)) >= above:
                raise Refused(f"{shown}: holds the label {highest}; labels go from 0 to {above - 1}")
            seen.update(data)
            writer.append(data)
        if stream.read(1):
            raise Refused(f"{shown}: holds more than its {count:,} {content}")
        if seen.hexdigest() != expected:
            actual = f"{algorithm}:{seen.hexdigest()}"
            raise Refused(
                f"{shown}: {algorithm} of its content is {seen.hexdigest()}, not {expected}", actual
            )


def _check_header(stream: IO[bytes], content: str, shape: tuple[int, ...], shown: str) -> bytes:
    magic = _UNSIGNED_BYTE << 8 | len(shape)
    header = _read_exactly(stream, 4 + 4 * len(shape))
    if header[:4] != struct.pack(">I", magic):
        start = header[:4].hex() or "nothing"
        raise Refused(f"{shown}: starts with {start}; an IDX file of {content} starts with {magic:08x}")
    if len(header) < 4 + 4 * len(shape):
        raise Refused(f"{shown}: ends within its header")
    said = struct.unpack(f">{len(shape)}I", header[4:])
    if said != shape:
        raise Refused(f"{shown}: says that it holds {_times(said)}, expected {_times(shape)}")
    return header


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{axis:,}" for axis in shape)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """So many bytes, or fewer where the stream ends; a decompressor may give them in pieces."""
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
