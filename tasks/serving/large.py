"""Decodes large requests in pieces, so that neither memory nor the interpreter's lock is held for long.

A whole body of 30 MiB becomes half a gigabyte of objects, and parsing it stops every other thread meanwhile.
Cut between the elements of its outermost list, each piece is valid JSON of its own, and is an array before
the next one is parsed; a body with a fault costs no more than what comes before the fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import orjson

from tasks.release.contract import Signature
from tasks.serving.runtime import Rows
from tasks.serving.tensors import Wrong, holds_only_numbers, shape_of_first, to_rows, unwrap_rows

PIECE_BYTES = 64 * 1024  # a millisecond
LONGEST_ROW_BYTES = 1024 * 1024  # of a small row, with whatever white space
LONGEST_NUMBER_BYTES = 32  # and so much for each number of a larger one
NAME = re.compile(rb'"([\w.:/-]{0,80})"')
SPACE = re.compile(rb"[ \t\n\r]*")
SIGNATURE_AT_THE_END = re.compile(rb',\s*"signature_name"\s*:\s*"([\w.:/-]{0,80})"\s*\}\s*')
LONGEST_END = 200
COMMA, QUOTE = b',"'
STEPS = np.zeros(256, np.int8)  # in the depth, by byte
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1


class Unusual(Exception):  # noqa: N818
    """A body in a form that no client needs: names that are escaped or there twice, values of other kinds."""


def decode_pieces(
    body: bytes, signatures: Mapping[str, Signature], *, default: str, max_images: int
) -> tuple[str, Rows, bool]:
    """Give the signature, the rows and whether they came in rows, as the decoder of whole bodies does.

    Raises Wrong for what is wrong, and Unusual for what only that decoder knows.
    """
    return _Request(body, signatures, default, max_images).read()


class _Request:
    """Reads a body from its beginning to its end."""

    def __init__(
        self, body: bytes, signatures: Mapping[str, Signature], default: str, max_images: int
    ) -> None:
        self.body = body
        self.at = 0
        self.signatures = signatures
        self.max_images = max_images
        start = max(body.rfind(b",", -LONGEST_END), 0)
        self.end = SIGNATURE_AT_THE_END.fullmatch(body, start)
        self.default = default
        self.signature = (self.end[1].decode() if self.end else "") or default

    def read(self) -> tuple[str, Rows, bool]:
        """Give what the body asks for."""
        if not self._take(b"{"):
            raise Wrong('the body is not a JSON object with "instances" or "inputs"')
        named, seen, rows = self.default, set[str](), None
        while True:
            name = self._name()
            if name not in ("signature_name", "instances", "inputs"):
                raise Wrong(f"unknown key {name[:40]!r}: there are signature_name, instances, inputs")
            if name in seen:
                raise Unusual
            seen.add(name)
            self._need(b":")
            if name == "signature_name":
                named = self._name() or self.default
                if rows is None and self.end is None:
                    self.signature = named
            elif rows is not None:
                raise Wrong('give either "instances" or "inputs", not both')
            else:
                rows = self._rows(name)
            if not self._take(b","):
                break
        self._need(b"}")
        if rows is None or named != self.signature or self._peek():
            raise Unusual
        return named, rows, "instances" in seen

    def _rows(self, key: str) -> Rows:
        if self.signature not in self.signatures:
            known = ", ".join(self.signatures)
            fault = Wrong(f"signature_name {self.signature[:40]!r} is unknown: there are {known}")
            self._raise(fault)
        signature = self.signatures[self.signature]
        tensor, wanted = signature.input, signature.input_name
        where = key
        names: tuple[str, ...] = (key,)
        if is_named := key == "inputs" and self._take(b"{"):
            if (name := self._name()) != wanted:
                self._raise(Wrong(f"inputs: unknown input {name[:40]!r}, expected {wanted!r}"), key)
            self._need(b":")
            where, names = f"inputs.{wanted}", (key, wanted)
        if not self._take(b"["):
            raise Unusual
        rows: list[Rows] = [np.empty((0, *tensor.row), tensor.dtype)]
        longest = max(LONGEST_ROW_BYTES, LONGEST_NUMBER_BYTES * math.prod(tensor.row))
        shape: tuple[int, ...] | None = None
        count, in_rows = 0, False
        for piece in self._pieces(longest):
            try:
                values: list[Any] = orjson.loads(piece)
            except orjson.JSONDecodeError as error:
                raise Wrong(f"the body is not JSON: {error}, in a piece of it") from error
            try:
                in_rows = isinstance(values[0], dict) and key == "instances" if not count else in_rows
                values = unwrap_rows(values, signature, count) if in_rows else values
                shape = shape_of_first(values, tensor) if shape is None else shape
                only = holds_only_numbers(piece, strings=len(values) * in_rows)
                rows.append(to_rows(values, tensor, where=where, numbers_only=only, shape=shape, first=count))
                count += len(values)
                if count > self.max_images:
                    raise Wrong(f"{where}: more than {self.max_images} rows in one request")
            except Wrong as fault:
                self._raise(fault, *names)
        if is_named:
            self._need(b"}")
        return np.concatenate(rows)

    def _pieces(self, longest: int) -> Iterator[bytes]:
        """Give the elements of the list that has begun as lists of their own, and go behind its end.

        Raises Unusual where one has more than `longest` bytes.
        """
        if self._take(b"]"):
            return
        size, ended = PIECE_BYTES, False
        while not ended:
            window = self.body[self.at : self.at + size]
            cut = _cut(window)
            if cut is None:
                if self.at + size >= len(self.body):
                    raise Wrong("the body is not JSON: a list in it has no end")
                if size >= longest:
                    raise Unusual
                size *= 2
                continue
            if not (piece := window[:cut]).strip():
                raise Wrong("the body is not JSON: an element of a list is missing")
            ended = window[cut] != COMMA
            self.at += cut + (not ended)
            size = PIECE_BYTES
            yield b"[%s]" % piece
        self._need(b"]")

    def _raise(self, fault: Wrong, *names: str) -> NoReturn:
        """Raise the fault of a value, unless its name may be there again: then the last one counts."""
        names = names if self.end else (*names, "signature_name")
        # One byte is found in a seventh of the time of a name; mostly there is none.
        at = self.body.find(b'"', self.at)
        again = at >= 0 and any(self.body.find(b'"%s"' % name.encode(), at) >= 0 for name in names)
        raise Unusual if again or self.body.find(b"\\", self.at) >= 0 else fault

    def _peek(self) -> bytes:
        """Go behind white space, and give what is there; empty at the end."""
        while match := SPACE.match(self.body, self.at, self.at + PIECE_BYTES):
            self.at = match.end()
            if len(match[0]) < PIECE_BYTES:
                break
        return self.body[self.at : self.at + 1]

    def _take(self, character: bytes) -> bool:
        found = self._peek() == character
        self.at += found
        return found

    def _need(self, character: bytes) -> None:
        if not self._take(character):
            raise Unusual

    def _name(self) -> str:
        self._peek()
        if (match := NAME.match(self.body, self.at)) is None:
            raise Unusual
        self.at = match.end()
        return match[1].decode()


def _cut(window: bytes) -> int | None:
    """Give where the last whole element in a list's text ends: at a comma, or where the list does."""
    if b"\\" in window:
        raise Unusual  # of a string, of which nobody can tell here where it ends
    text = np.frombuffer(window, np.uint8)
    steps, commas = STEPS[text], text == COMMA
    if b'"' in window:
        outside = np.cumsum(text == QUOTE, dtype=np.int32) % 2 == 0
        steps, commas = steps * outside, commas & outside
    depth = np.cumsum(steps, dtype=np.int32)
    if len(ends := np.flatnonzero(depth < 0)):
        return int(ends[0])
    between = np.flatnonzero(commas & (depth == 0))
    return int(between[-1]) if len(between) else None
