"""Decodes large requests in pieces, so that neither memory nor the interpreter's lock is held for long.

A whole body of 30 MiB becomes half a gigabyte of lists, and parsing it stops every other thread meanwhile.
Cut between images, each piece is valid JSON of its own, and is an array before the next one is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import orjson

from tasks.serving.release import Signature
from tasks.serving.runtime import Images
from tasks.serving.tensors import Wrong, holds_only_numbers, to_images

PIECE_BYTES = 256 * 1024  # about 60 images, some milliseconds
HEAD = re.compile(
    rb'\s*\{\s*(?:"signature_name"\s*:\s*"(?P<name>\w*)"\s*,\s*)?"(?P<format>instances|inputs)"\s*:\s*\['
)
TAIL = re.compile(rb'\]\s*(?:,\s*"signature_name"\s*:\s*"(?P<name>\w*)"\s*)?\}\s*')
BETWEEN = re.compile(rb"\]\s*\]\s*(,)\s*\[\s*\[")
LONGEST_TAIL = 200


def decode_pieces(
    body: bytes, signatures: Mapping[str, Signature], *, default: str, max_images: int
) -> tuple[str, Images, bool] | None:
    """Give the signature, the images and whether they came in rows; None for what is not plain and right.

    Plain are unnamed images of numbers, with or without a signature before or after them. All else, and
    every request with a fault, is left to the decoder that knows all forms and tells what is wrong.
    """
    head = HEAD.match(body)
    end = body.rfind(b"]", -LONGEST_TAIL)
    tail = TAIL.fullmatch(body, end) if end >= 0 else None
    if head is None or tail is None or (head["name"] is not None and tail["name"] is not None):
        return None
    name = next((given.decode() for given in (head["name"], tail["name"]) if given is not None), default)
    if name not in signatures:
        return None
    images: list[Images] = []
    count = 0
    try:
        for piece in _pieces(body, head.end(), end):
            only = holds_only_numbers(piece, strings=0)
            part = to_images(orjson.loads(piece), signatures[name].input, where="", numbers_only=only)
            images.append(part)
            count += len(part)
            if count > max_images:
                return None
    except (orjson.JSONDecodeError, Wrong):
        return None
    return name, np.concatenate(images), head["format"] == b"instances"


def _pieces(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """Give the text between `start` and `end` as JSON lists, cut at commas between images."""
    while start < end:
        between = BETWEEN.search(body, start + PIECE_BYTES, end)
        cut = between.start(1) if between else end
        yield b"[%s]" % body[start:cut]
        start = cut + 1
