"""A client's connection: uvicorn's HTTP/1.1 protocol with limits of time and size, and an orderly end."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, cast
from weakref import WeakSet

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tasks.serving.limits import STILL_SECONDS

STALLED_SECONDS = 30.0  # an answer of which the client takes nothing
FAREWELL_SECONDS = 0.25  # after SIGTERM: clients with a request on its way are told to close, not cut off
LARGEST_HEAD_BYTES = 16 * 1024
LEAST_BYTES_PER_SECOND = 16 * 1024  # of a body, over a stretch; the first one is its grace
STRETCH_SECONDS = 5.0
MOST_CONNECTIONS = 512


class Progress:
    """How a body comes: in each stretch of time there has to be a least amount of it."""

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._bytes = 0

    def count(self, size: int, now: float) -> None:
        """Count what came; with the least amount of a stretch the next one begins."""
        self._bytes += size
        if self._bytes >= LEAST_BYTES_PER_SECOND * STRETCH_SECONDS:
            self._since, self._bytes = now, 0

    def is_slow(self, now: float) -> bool:
        """Tell whether a stretch has ended without the least amount."""
        return now - self._since > STRETCH_SECONDS


class Gathered:
    """A transport that joins what is written in one turn: head and body of an answer leave in one call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with the next flush, at the latest when the event loop comes round."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)

    def flush(self) -> None:
        """Send what was written."""
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._transport.write(data)

    def close(self) -> None:
        """Send what was written, and close."""
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """A connection with limits on what it receives and when, which ends politely."""

    crowded: ClassVar[WeakSet[ServerState]] = WeakSet()  # the servers that are about to make room

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.receiving_since: float | None = None
        self.received_at = 0.0
        self.awaits_body = False
        self.of_body = Progress()
        self.beside_bodies = 0  # bytes since the last of a body: an unfinished head, or trailers
        self.unsent = 0
        self.unsent_since = 0.0
        self.leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.gathered = Gathered(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self.gathered))
        self.receiving_since = self.received_at = self.loop.time()
        if len(self.connections) > MOST_CONNECTIONS and self.server_state not in self.crowded:
            self.crowded.add(self.server_state)
            self.loop.call_soon(self._make_room)

    def _make_room(self) -> None:
        """Close those above the limit that are silent the longest, of the connections that nobody answers.

        Those whose body comes at this moment come last, those that have not taken their answer yet before.
        Done once for all that were accepted in a turn of the event loop: a crowd must not cost its square.
        """
        self.crowded.discard(self.server_state)
        now = self.loop.time()
        every = [each for each in self.connections if isinstance(each, Connection)]
        there = [each for each in every if not each.transport.is_closing()]
        idle = [each for each in there if each.is_idle]
        idle.sort(key=lambda each: (each.is_receiving(now), each.unsent > 0, each.received_at))
        for each in idle[: max(len(there) - MOST_CONNECTIONS, 0)]:
            each.transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether the client has to send something before there is anything to do."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def is_receiving(self, now: float) -> bool:
        """Whether a body comes, and something of it came just now."""
        return self.awaits_body and now - self.received_at < STILL_SECONDS

    def data_received(self, data: bytes) -> None:
        self.received_at = self.loop.time()
        if self.receiving_since is None:
            self.receiving_since = self.received_at
        self._unset_keepalive_if_required()
        # A head is fed in pieces of what it may still have, so that it counts alike however it arrives.
        while data and not self.transport.is_closing():
            room = len(data) if self.awaits_body else LARGEST_HEAD_BYTES + 1 - self.beside_bodies
            self.beside_bodies += min(room, len(data))
            self._parse(data[:room])
            data = data[room:]
            if self.beside_bodies > LARGEST_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, f"the head of the request exceeds {LARGEST_HEAD_BYTES} bytes")
        if self.leaving and self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer in place of the application, and end the connection."""
        if not self.is_idle:
            self.transport.abort()  # the answer would come before that of an earlier request
            return
        content = orjson.dumps({"error": reason})
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # No other protocol is spoken here. The parser leaves a request that wishes for one without
                # its body, so it is read again without the wish: Java's client sends such by default.
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                continue
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            return

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (self.scope["method"].encode(), self.url)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            self.awaits_body = True
            self.beside_bodies = 0
            self.of_body = Progress(self.loop.time())
            super().on_headers_complete()
        elif (method := self.parser.get_method()) == b"CONNECT":
            raise ValueError("this is no proxy")  # the parser makes it an HttpParserError
        else:
            self.scope["method"] = method.decode()

    def on_body(self, body: bytes) -> None:
        self.beside_bodies = 0
        self.of_body.count(len(body), self.received_at)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # it is read again
        self.receiving_since = None
        self.awaits_body = False
        self.beside_bodies = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.gathered.flush()
        super().on_response_complete()
        if self.expect_100_continue and self.cycle.more_body:
            # The client, refused before it sent the body, may send it or leave it out: nobody can tell.
            self.transport.close()

    def overdue(self, now: float, receive_seconds: float) -> bool:
        """Tell whether the client sends its request, or takes its answer, too slowly."""
        waiting = self.transport.get_write_buffer_size()
        if waiting != self.unsent or not waiting:
            self.unsent, self.unsent_since = waiting, now
        slow = self.receiving_since is not None and now - self.receiving_since > receive_seconds
        if self.flow.read_paused:  # the client has to wait, as for the answer to an earlier request
            self.of_body = Progress(now)
        slow = slow or (self.awaits_body and self.of_body.is_slow(now))
        return slow or now - self.unsent_since > STALLED_SECONDS

    def shutdown(self) -> None:
        """End the connection after its next answer, or after a moment without a request."""
        self.leaving = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(FAREWELL_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()
