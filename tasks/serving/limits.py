"""Receiving a request within its limits: size, number at once, token."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.types import Receive, Scope

MIB = 1024 * 1024
MOST_WAITING = 256  # predict requests at once; more are asked to come again
MOST_BUFFERED = 4  # times the largest request: bodies in memory at once


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
    """Counts the requests that are being answered and the bytes that they hold."""

    def __init__(self) -> None:
        self.requests = 0
        self.buffered = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count one request; raises Refusal when there are too many."""
        if self.requests >= MOST_WAITING:
            raise _busy(f"{self.requests} requests are being answered")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def body(self, scope: Scope, receive: Receive, limit_mib: int) -> bytes:
        """Give the request's body; the caller takes its length from `buffered` when it is done with it.

        Raises Refusal as soon as the body is known to be larger than the limit: from its Content-Length
        before a byte is read, otherwise with the piece that exceeds it.
        """
        limit = limit_mib * MIB
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > limit:
            raise _too_large(f"{int(declared):,} bytes", limit_mib)
        pieces: list[bytes] = []
        length = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                piece = message.get("body", b"")
                length += len(piece)
                self.buffered += len(piece)
                if length > limit:
                    raise _too_large(f"over {length - 1:,} bytes", limit_mib)
                if self.buffered > MOST_BUFFERED * limit:
                    raise _busy("too many bytes of requests are waiting")
                pieces.append(piece)
                if not message.get("more_body", False):
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except BaseException:
            self.buffered -= length
            raise


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
