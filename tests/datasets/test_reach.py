from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from settings.errors import Stopped
from tasks.datasets.errors import Unavailable
from tasks.datasets.reach import behind_proxy, reach


def test_a_host_that_answers() -> None:
    """The family over which a host answers is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        family = reach("127.0.0.1", server.getsockname()[1], seconds=2, should_stop=lambda: False)
    assert family == socket.AF_INET


def test_the_address_that_answers_wins() -> None:
    """Where only one of a name's addresses answers, that one is used."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        family = reach("localhost", server.getsockname()[1], seconds=2, should_stop=lambda: False)
    assert family == socket.AF_INET


def test_nobody_listens() -> None:
    """A refused connection is known at once, and asking again does not help."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match=f"refuses connections at port {port}") as error:
        reach("127.0.0.1", port, seconds=2, should_stop=lambda: False)
    assert not error.value.transient


def test_unknown_name() -> None:
    """A name that nobody knows is no time-out."""
    with pytest.raises(Unavailable, match=r"the name nobody\.invalid is not known here") as error:
        reach("nobody.invalid", 80, seconds=20, should_stop=lambda: False)
    assert not error.value.transient


def test_a_host_that_keeps_silent() -> None:
    """A host that does not even accept costs no more than told, and may answer later."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)  # one connection waits, more are not answered
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1 does not answer within 0\.3 s") as error:
            reach("127.0.0.1", server.getsockname()[1], seconds=0.3, should_stop=lambda: False)
        assert time.monotonic() - began < 2
    assert error.value.transient


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that does not answer."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait(30) and [])
    yield
    over.set()


@pytest.mark.usefixtures("silent")
def test_silence_costs_seconds() -> None:
    """A name server that does not answer costs no more than told, and may answer later."""
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"does not answer within 0\.2 s") as error:
        reach("slow.example", 80, seconds=0.2, should_stop=lambda: False)
    assert time.monotonic() - began < 1
    assert error.value.transient


@pytest.mark.usefixtures("silent")
def test_stops() -> None:
    """The stop flag is read while waiting."""
    with pytest.raises(Stopped):
        reach("slow.example", 80, seconds=30, should_stop=lambda: True)


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment counts for its scheme, but not for hosts that it leaves out."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert behind_proxy("https", "outside.example")
    assert not behind_proxy("https", "inside.example")


def test_a_proxy_for_all_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALL_PROXY counts for every scheme, and not for hosts that are left out."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert behind_proxy("http", "outside.example")
    assert behind_proxy("https", "outside.example")
    assert not behind_proxy("https", "inside.example")
