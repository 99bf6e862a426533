"""Hands the listening socket from a server to the one that replaces it, so that no connection is refused.

The socket's queue belongs to the kernel and lives as long as one process has it open: what arrives while both
have it, or while neither accepts, waits for whoever accepts next.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct

logger = logging.getLogger(__name__)

TAKE_SECONDS = 2.0  # a server that hangs hands nothing over
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
GREETING = b"slipway"


def name_of(pid: int) -> str:
    """Give the name, in the abstract namespace, under which the process offers its socket."""
    return f"\0slipway-{pid}"


async def offer(listener: socket.socket) -> None:
    """Give the listening socket to each process of this user that asks for it, for ever."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.bind(name_of(os.getpid()))
        except OSError as error:  # someone has the name: a replacement goes without a handover
            logger.warning("the listening socket cannot be handed over: %s", error.strerror)
            return
        door.listen(4)
        door.setblocking(False)
        while True:
            peer, _ = await loop.sock_accept(door)
            with peer:
                _give(listener, peer)


def _give(listener: socket.socket, peer: socket.socket) -> None:
    pid, user = credentials(peer)
    if user != os.geteuid():
        logger.warning("process %d of user %d asked for the listening socket: refused", pid, user)
        return
    try:
        socket.send_fds(peer, [GREETING], [listener.fileno()])
    except (OSError, ValueError) as error:  # the peer has gone, or the socket is closed: this one is ending
        logger.warning("the listening socket was not handed over to process %d: %s", pid, error)
    else:
        logger.info("the listening socket is handed over to process %d", pid)


def take(pid: int, address: tuple[str, int]) -> socket.socket | None:
    """Give the listening socket of the server with that pid; None where it has none to give for the address.

    `address` is the numeric one that is meant to be listened on.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(TAKE_SECONDS)
            door.connect(name_of(pid))
            # The name alone proves nothing: any process may bind it.
            if credentials(door) != (pid, os.geteuid()):
                return None
            _, descriptors, _, _ = socket.recv_fds(door, len(GREETING), 1)
    except OSError as error:  # gone, of older code, or hanging
        logger.info("process %d hands no socket over: %s", pid, error)
        return None
    for descriptor in descriptors:
        listener = socket.socket(fileno=descriptor)
        listener.set_inheritable(False)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if listens and listener.getsockname()[:2] == address:
            listener.setblocking(False)
            return listener
        listener.close()
    return None


def credentials(peer: socket.socket) -> tuple[int, int]:
    """Give the process and the user at the other end of a Unix socket."""
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, user, _ = CREDENTIALS.unpack(found)
    return pid, user
