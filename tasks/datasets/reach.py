"""Whether a host answers, found out within seconds however many silent addresses it has."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable

from settings.errors import Stopped
from tasks.datasets.errors import Unavailable

_POLL_SECONDS = 0.1


def reach(host: str, port: int, *, seconds: float, should_stop: Callable[[], bool]) -> int:
    """The address family (socket.AF_INET or AF_INET6) over which the host answers first.

    A name server that does not answer and a host whose addresses are silent cost `seconds` in all, where the
    connection of an HTTP client costs them for each address in turn, and waits for the name without an end.
    Raises Unavailable.
    """
    answers: queue.Queue[int | BaseException] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(asyncio.run(_first_family(host, port)))
        except Exception as error:  # for the thread that waits
            answers.put(error)

    # A thread of its own, and a daemon: the look-up of a name cannot be interrupted.
    threading.Thread(target=ask, name=f"reach-{host}", daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = answers.get(timeout=_POLL_SECONDS)
            break
        except queue.Empty:
            if should_stop():
                raise Stopped(f"stopped while connecting to {host}") from None
            if time.monotonic() > deadline:
                raise Unavailable(f"{host} does not answer within {seconds:g} s", transient=True) from None
    if isinstance(answer, socket.gaierror):
        raise Unavailable(f"the name {host} is not known here")
    if isinstance(answer, ConnectionRefusedError):
        raise Unavailable(f"{host} refuses connections at port {port}")
    if isinstance(answer, BaseException):
        raise Unavailable(f"no connection to {host}: {answer}")
    return answer


def behind_proxy(scheme: str, host: str) -> bool:
    """Whether the environment sends requests to this host through a proxy."""
    proxies = urllib.request.getproxies()
    # ALL_PROXY, for whatever has no proxy of its own; urllib tells of it and leaves it to the client to obey.
    return (scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host)


async def _first_family(host: str, port: int) -> int:
    """Connect as RFC 8305 has it: the next address is tried while the one before still keeps silent."""
    _, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=0.25)
    try:
        family: int = writer.get_extra_info("socket").family
        return family
    finally:
        writer.close()
