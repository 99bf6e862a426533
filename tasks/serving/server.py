"""The HTTP server around the application: uvicorn with time limits and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from settings.errors import Surroundings

logger = logging.getLogger(__name__)

RECEIVE_SECONDS = 30.0  # for a whole request, from its first byte (on a new connection: from the start)
STALLED_SECONDS = 30.0  # an answer of which the client takes nothing
KEEP_ALIVE_SECONDS = 30
FAREWELL_SECONDS = 0.25  # after SIGTERM: clients with a request on its way are told to close, not cut off
DRAIN_SECONDS = 10
TURNS_TO_BEGIN = 3  # of the event loop, from accepting a connection to its connection_made
MOST_CONNECTIONS = 512
LARGEST_HEAD_BYTES = 16 * 1024


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


class Connection(H11Protocol):
    """A connection with a deadline for what it receives, which ends politely."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.receiving_since: float | None = None
        self.unsent = 0
        self.unsent_since = 0.0
        self.leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.gathered = Gathered(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self.gathered))
        self.receiving_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self.receiving_since is None:
            self.receiving_since = self.loop.time()
        super().data_received(data)
        if self.cycle is not None:
            if not self.cycle.more_body:
                self.receiving_since = None
            if self.leaving:
                self._close_after_answer()

    def on_response_complete(self) -> None:
        self.gathered.flush()
        super().on_response_complete()

    def overdue(self, now: float, receive_seconds: float) -> bool:
        """Tell whether the client sends its request, or takes its answer, too slowly."""
        waiting = self.transport.get_write_buffer_size()
        if waiting != self.unsent or not waiting:
            self.unsent, self.unsent_since = waiting, now
        slow = self.receiving_since is not None and now - self.receiving_since > receive_seconds
        return slow or now - self.unsent_since > STALLED_SECONDS

    def shutdown(self) -> None:
        """End the connection after its next answer, or after a moment without a request."""
        self.leaving = True
        if self.cycle is not None and not self.cycle.response_complete:
            self._close_after_answer()
        else:
            self.loop.call_later(FAREWELL_SECONDS, self._leave)

    def _close_after_answer(self) -> None:
        self.cycle.keep_alive = False
        # Uvicorn says Connection: close only to a client that said it.
        if CLOSE_HEADER not in self.cycle.scope["headers"]:
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def _leave(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()


@dataclass(frozen=True)
class Place:
    """Where a server listens: the host as it was given, and what it means."""

    host: str
    family: int
    protocol: int
    address: tuple[Any, ...]  # as bind takes it: numeric host, port and, for IPv6, two more


class Server(uvicorn.Server):
    """Uvicorn's server; SIGTERM and SIGINT let it finish what is in flight, then it ends as usual."""

    when_listening: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, and tell so."""
        await super().startup(sockets)
        if self.when_listening is not None:
            self.when_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, but keep those that were accepted; then end as uvicorn does."""
        loop = asyncio.get_running_loop()
        for listener in sockets or []:
            loop.remove_reader(listener)
        # asyncio drops a connection that it has accepted but not begun when its server closes.
        for _ in range(TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals for good: uvicorn would raise them again at the end, and die of SIGTERM."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def sweep(self, receive_seconds: float) -> None:
        """End connections that are overdue, for ever."""
        while True:
            await asyncio.sleep(min(1.0, receive_seconds / 2))
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection) and connection.overdue(now, receive_seconds):
                    connection.transport.abort()


def make_server(app: ASGIApp) -> Server:
    """Give the server for the application; `serve(sockets=[...])` runs it until a signal ends it."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
    )
    return Server(config)


async def resolve(host: str, port: int) -> Place:
    """Give where to listen; Surroundings says why it cannot be found."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Surroundings(f"the address {host} cannot be listened on: {error}") from error
    family, _, protocol, _, address = found[0]
    return Place(host, family, protocol, address)


async def bind(place: Place, *, patience_seconds: float) -> socket.socket:
    """Give a socket that listens; a port that is taken is tried again for `patience_seconds`."""
    deadline = time.monotonic() + patience_seconds
    while True:
        listener = socket.socket(place.family, socket.SOCK_STREAM, place.protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place.address)
            listener.listen(1024)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                reason = os.strerror(error.errno or 0)
                where = f"{place.host}:{place.address[1]}"
                raise Surroundings(f"{where} cannot be listened on: {reason}") from error
            await asyncio.sleep(0.005)
        else:
            listener.setblocking(False)
            return listener
