"""Receiving a request within its limits: size, number at once, token."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.types import Receive, Scope

MIB = 1024 * 1024
STILL_SECONDS = 1.0  # a large body of which nothing came for so long has to make room for another
SMALL_BYTES = 64 * 1024  # a dozen small images, a millisecond of work: answered at once, beside all others
MOST_WAITING = 64  # large requests that are whole; more are asked to come again
MEMORY_PER_BYTE = 6  # of a body: at most so much at once, for itself and what it is decoded to
MOST_BUFFERED = 4  # times the largest request: large bodies in memory at once, whole or not


class Refusal(Exception):  # noqa: N818
    """A request that is not answered: the status and the reason."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class Gone(Exception):  # noqa: N818
    """The client left before its request was whole."""


class Admission:
    """Counts the large requests and the bytes that they hold; small ones are never in anybody's way.

    A small request is answered as soon as it is whole, and the number of connections bounds what all of them
    hold. So large and slow ones, however many, can take nothing that small ones need.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.buffered = 0
        self.receiving: set[Held] = set()  # of the large ones, those that are not whole yet

    @contextmanager
    def hold(self, limit_mib: int) -> Iterator[Held]:
        """Give what counts one request's bytes, and its place once it is whole, until it is answered."""
        held = Held(self, limit_mib)
        try:
            yield held
        finally:
            self.receiving.discard(held)
            self.buffered -= held.counted
            self.requests -= held.has_place

    def make_room(self) -> bool:
        """Give up the body of which nothing came for the longest time, where one stands still."""
        last = min(self.receiving, key=lambda held: held.came_at, default=None)
        if last is None or time.monotonic() - last.came_at < STILL_SECONDS:
            return False
        self.buffered -= last.counted
        last.give_up()
        return True


class Held:
    """What one request holds."""

    def __init__(self, admission: Admission, limit_mib: int) -> None:
        self.admission = admission
        self.limit_mib = limit_mib
        self.counted = 0
        self.has_place = False
        self.came_at = time.monotonic()
        self.given_up = False
        self.task: asyncio.Task[Any] | None = None  # that waits for the body

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Give the request's body as it comes.

        Raises Refusal as soon as the body is known to be larger than the limit: from its Content-Length
        before a byte is read, otherwise with the piece that exceeds it.
        """
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > self.limit_mib * MIB:
            raise _too_large(f"{int(declared):,} bytes", self.limit_mib)
        pieces: list[bytes] = []
        length = 0
        self.task = asyncio.current_task()
        while True:
            try:
                message = await receive()
            except asyncio.CancelledError:
                if not self.given_up or self.task is None:
                    raise
                self.task.uncancel()
                reason = "the body stood still while others waited for room"
                raise Refusal(408, reason, {"connection": "close"}) from None
            self.came_at = time.monotonic()
            if message["type"] == "http.disconnect":
                raise Gone
            piece = message.get("body", b"")
            length += len(piece)
            self.grow(length)
            if self.counted:
                self.admission.receiving.add(self)
            pieces.append(piece)
            if not message.get("more_body", False):
                self.admission.receiving.discard(self)
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def grow(self, length: int) -> None:
        """Count a body that has this length by now; raises Refusal where that is too much."""
        if length > self.limit_mib * MIB:
            raise _too_large(f"over {length - 1:,} bytes", self.limit_mib)
        more = length - self.counted
        if length <= SMALL_BYTES or more <= 0:
            return
        while self.admission.buffered + more > MOST_BUFFERED * self.limit_mib * MIB:
            if not self.admission.make_room():
                raise _busy("too many bytes of requests are waiting")
        self.admission.buffered += more
        self.counted = length

    def give_up(self) -> None:
        """Let another have the room: the client is told so, and its bytes are forgotten."""
        self.admission.receiving.discard(self)
        self.counted = 0
        self.given_up = True
        if self.task is not None:
            self.task.cancel()

    def take_place(self, length: int) -> None:
        """Take a place for a whole body of this length; raises Refusal when there are too many."""
        if length <= SMALL_BYTES:
            return
        if self.admission.requests >= MOST_WAITING:
            raise _busy(f"{self.admission.requests} large requests are being answered")
        self.admission.requests += 1
        self.has_place = True


def check_token(scope: Scope, token: bytes) -> None:
    """Raise Refusal unless the request brings the token."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, secret = given.partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(secret.strip(), token):
        reason = "the token is wrong" if given else "a token is needed: Authorization: Bearer ..."
        raise Refusal(401, reason, {"www-authenticate": "Bearer"})


def _busy(reason: str) -> Refusal:
    return Refusal(503, f"too busy: {reason}", {"retry-after": "1"})


def _too_large(length: str, limit_mib: int) -> Refusal:
    return Refusal(413, f"the body has {length}, at most {limit_mib} MiB ({limit_mib * MIB:,} bytes)")
