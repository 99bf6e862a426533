"""One server takes another's place while clients come."""

from __future__ import annotations

import asyncio
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.serving import handover

NOT_TAKEN = "hands no socket over"


@contextmanager
def callers(port: int, *, count: int = 6) -> Iterator[list[object]]:
    """Clients that open a connection for each request; gives what went wrong, and the pids that answered."""
    stop = threading.Event()
    outcomes: list[object] = []

    def ask() -> None:
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/health/ready", headers={"connection": "close"})
                outcomes.append(connection.getresponse().status)
            except (OSError, http.client.HTTPException) as error:
                outcomes.append(error)
            finally:
                connection.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def replace(start, old):
    """Let a new server take the place of the old one; give it once the old one has ended."""
    mine = secrets.token_hex(8)
    new = start("--port", str(old.port), "--replaces", str(old.process.pid), "--start", mine, wait=False)
    assert old.process.wait(20) == 0
    while new.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", old.port, timeout=20)
        connection.request("GET", "/health/ready")
        answer = connection.getresponse().read()
        connection.close()
        if b'"start":"%s"' % mine.encode() in answer:
            new.port = old.port
            return new
    raise AssertionError(new.log.read_text())


def test_a_replacement_refuses_no_connection(start):
    """Clients with a new connection per request see no failure while one server follows another."""
    server = start()
    with callers(server.port) as outcomes:
        for _ in range(3):
            server = replace(start, server)
            assert NOT_TAKEN not in server.log.read_text()
    assert set(outcomes) == {200}
    assert len(outcomes) > 100


def test_a_server_that_hands_nothing_over_is_replaced_all_the_same(start):
    """Where the socket cannot be had the old server is ended first, and the port bound anew."""
    old = start()
    code = "from tasks.serving import handover, __main__ as m; handover.take = lambda *_: None; m.main()"
    command = [sys.executable, "-c", code, *old.arguments, "--replaces", str(old.process.pid)]
    command += ["--start", "the new one"]
    new = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert old.process.wait(20) == 0
        while old.health().get("start") != "the new one":
            assert new.poll() is None
    finally:
        new.kill()
        new.wait(10)


def test_nobody_offers_a_socket():
    """A process that offers nothing gives None, and so does one that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert handover.take(ended.pid, ("127.0.0.1", 1)) is None
    assert handover.take(os.getpid(), ("127.0.0.1", 1)) is None


def test_a_server_that_hangs_offers_no_socket(start, monkeypatch):
    """A stopped server is not waited for beyond a bound."""
    monkeypatch.setattr(handover, "TAKE_SECONDS", 0.2)
    server = start()
    server.process.send_signal(signal.SIGSTOP)
    assert handover.take(server.process.pid, ("127.0.0.1", server.port)) is None


def test_the_socket_of_another_address_is_not_taken(start):
    """The offered socket has to be the one that is wanted: host and port."""
    server = start()
    assert handover.take(server.process.pid, ("127.0.0.1", server.port + 1)) is None
    assert handover.take(server.process.pid, ("0.0.0.0", server.port)) is None
    taken = handover.take(server.process.pid, ("127.0.0.1", server.port))
    assert taken is not None
    assert not taken.get_inheritable()
    taken.close()
    assert server.health()["version"] == 1


def test_an_impostor_is_not_trusted():
    """Whoever has taken the name of another process has no socket to give."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door,
    ):
        door.bind(handover.name_of(sleeper.pid))
        door.listen()
        assert handover.take(sleeper.pid, listener.getsockname()) is None
    sleeper.communicate()


@pytest.mark.parametrize("mine", [True, False], ids=["the same user", "another user"])
def test_the_socket_is_given_to_the_same_user_alone(mine, monkeypatch):
    """A process of another user gets no socket."""
    user = os.geteuid()

    async def ask() -> socket.socket | None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            offering = asyncio.create_task(handover.offer(listener))
            await asyncio.sleep(0)
            try:
                return await asyncio.to_thread(handover.take, os.getpid(), listener.getsockname())
            finally:
                offering.cancel()

    def credentials(peer: socket.socket) -> tuple[int, int]:
        """Tell the loop, which offers, of another process, and the thread, which takes, of this one."""
        offers = threading.current_thread() is threading.main_thread()
        return (1, user if mine else user + 1) if offers else (os.getpid(), user)

    monkeypatch.setattr(handover, "credentials", credentials)
    taken = asyncio.run(ask())
    assert (taken is not None) == mine
    if taken is not None:
        taken.close()
