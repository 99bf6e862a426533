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
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from settings.errors import Surroundings
from tasks.serving.connection import Connection

logger = logging.getLogger(__name__)

RECEIVE_SECONDS = 30.0  # for a whole request, from its first byte (on a new connection: from the start)
KEEP_ALIVE_SECONDS = 30
DRAIN_SECONDS = 10
TURNS_TO_BEGIN = 3  # of the event loop, from accepting a connection to its connection_made


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
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
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
