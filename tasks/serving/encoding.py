"""Unpacks the bodies of requests that come compressed, and no further than they may be large."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from starlette.types import Scope

from tasks.serving.limits import Refusal

GZIP = 16 + zlib.MAX_WBITS
STEP_BYTES = 64 * 1024  # unpacked between two looks at what else there is to do


def coding_of(scope: Scope) -> bytes:
    """Give how the body is coded: b"gzip", or empty where it is plain; Refusal (415) names any other."""
    given = b",".join(value for name, value in scope["headers"] if name == b"content-encoding")
    coding = given.strip().lower()
    if coding in (b"", b"identity"):
        return b""
    if coding in (b"gzip", b"x-gzip"):
        return b"gzip"
    name = coding[:40].decode(errors="replace")
    reason = f"the content encoding {name!r} is not known: gzip or none"
    raise Refusal(415, reason, {"accept-encoding": "gzip"})


async def unpack(body: bytes, grow: Callable[[int], None]) -> bytes:
    """Give what a gzip body holds; Refusal (400) where it is none or not whole.

    `grow` is called with the size so far and raises where that is too much: a small body can be a large one.
    """
    pieces: list[bytes] = []
    size = 0
    stream = zlib.decompressobj(GZIP)
    try:
        for start in range(0, len(body), STEP_BYTES):
            packed = body[start : start + STEP_BYTES]
            while packed:
                if stream.eof:  # one file after another is a gzip file too
                    stream = zlib.decompressobj(GZIP)
                pieces.append(stream.decompress(packed, STEP_BYTES))
                packed = stream.unused_data if stream.eof else stream.unconsumed_tail
                size += len(pieces[-1])
                grow(size)
                await asyncio.sleep(0)
        while not stream.eof and (piece := stream.decompress(b"", STEP_BYTES)):
            pieces.append(piece)
            size += len(piece)
            grow(size)
    except zlib.error as error:
        raise Refusal(400, f"the body is not gzip: {error}") from error
    if not stream.eof:
        raise Refusal(400, "the body is not whole: its gzip data has no end")
    return b"".join(pieces)
