"""What a client may ask of the server: size, time, number, and the token."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace

import httpx
import numpy as np
import pytest

from settings.errors import WrongInput
from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.serving import limits
from tasks.serving.limits import Admission, Refusal
from tasks.store.files import write_bytes

PREDICT = "/v1/models/mnist:predict"
MIB = 1024 * 1024


def received(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    pieces = []
    while piece := connection.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def test_a_declared_length_over_the_limit_is_refused_at_once(shared):
    """413 comes before a byte of the body is sent."""
    with shared.connect() as connection:
        connection.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {200 * MIB}\r\n\r\n".encode()
        )
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"at most 1 MiB" in answer
    assert b"x-model-version: 1" in answer


def test_a_client_that_waits_for_100_continue_is_not_told_to_go_on(shared):
    """A body over the limit is not asked for; whether it comes all the same cannot be told, so this ends."""
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {2 * MIB}\r\n\r\n"
    with shared.connect() as connection:
        connection.sendall(head.encode())
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_refused_with_the_piece_that_is_too_much(shared):
    """Without a Content-Length the limit holds while the body streams: 413 after little more than 1 MiB."""
    piece = b"[" * 65_536
    sent = 0
    with shared.connect() as connection:
        connection.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        connection.settimeout(0.05)
        answer = b""
        while not answer and sent < 64 * MIB:
            connection.settimeout(20)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
            connection.settimeout(0.05 if sent > MIB else 0.001)
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert MIB < sent < 3 * MIB


def test_a_chunked_body_within_the_limit_is_answered(shared):
    """A client need not know the length beforehand."""
    body = json.dumps({"instances": [[[0.5] * 28] * 28]}).encode()
    pieces = (body[start : start + 100] for start in range(0, len(body), 100))
    assert shared.http.post(PREDICT, content=pieces).status_code == 200


def test_a_large_head_is_refused(shared):
    """Headers without end do not fill the memory."""
    with shared.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"x-filler: " + b"a" * 40_000)
        assert received(connection).startswith(b"HTTP/1.1 400 ")


def test_trailers_without_end_are_refused(shared):
    """What follows a chunked body counts as a head does."""
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"
    # More than the server takes in one piece, so that some comes after the body. It ends without having read
    # all, which can cost the client the answer.
    with shared.connect() as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(head.encode() + b"x-filler: " + b"a" * 600_000)
        assert b"exceeds 16384 bytes" in received(connection)


def test_requests_sent_ahead_are_answered_in_their_order(shared):
    """A client may send the next request before it has the answer."""
    good = json.dumps({"instances": [[[0.5] * 28] * 28]}).encode()
    with shared.connect() as connection:
        for body in (good, b"{", good):
            connection.sendall(
                f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        statuses = re.findall(rb"HTTP/1.1 (\d+)", received(connection))
    assert statuses == [b"200", b"400", b"200", b"200"]


def test_an_upgrade_that_is_not_known_is_ignored(shared):
    """Java's client and `curl --http2` ask for another protocol and are answered in this one."""
    upgrade = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    body = '{"instances": []}'
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\n{upgrade}content-length: {len(body)}\r\n\r\n"
    with shared.connect() as connection:
        for pieces in ([head + body], [head, body], [head[:100], head[100:] + body]):
            for piece in pieces:
                connection.sendall(piece.encode())
            answer = connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b'{"predictions":[]}')
        connection.sendall(f"GET /health/live HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_tunnel_is_refused(shared):
    """CONNECT is for proxies."""
    with shared.connect() as connection:
        connection.sendall(b"CONNECT example.test:443 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /health/live HTTP/1.1\r\nhost:",
        f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[".encode(),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_is_cut_off(start, sent):
    """A client that stops sending loses its connection, and others are served meanwhile."""
    server = start("--receive-seconds", "0.4")
    with server.connect() as connection:
        connection.sendall(sent)
        assert server.predict([]).status_code == 200
        with suppress(ConnectionResetError):
            assert received(connection) == b""
    assert server.predict([]).status_code == 200


def test_too_many_connections_are_told_to_come_again(start):
    """Connections beyond the limit get 503; when others end, the server answers again."""
    server = start()
    with ExitStack() as stack:
        for _ in range(515):
            stack.enter_context(server.connect())
        with httpx.Client(base_url=server.http.base_url, trust_env=False) as late:
            assert late.get("/health/live").status_code == 503
    with httpx.Client(base_url=server.http.base_url, trust_env=False) as later:
        assert later.get("/health/live").status_code == 200


def test_too_many_requests_at_once_are_refused(monkeypatch):
    """Predict requests beyond the limit get 503 with Retry-After, and room comes back."""
    monkeypatch.setattr(limits, "MOST_WAITING", 1)
    admission = Admission()
    with admission.enter():
        with pytest.raises(Refusal) as refusal, admission.enter():
            pass
        assert (refusal.value.status, refusal.value.headers) == (503, {"retry-after": "1"})
    with admission.enter():
        pass


def test_too_many_bytes_at_once_are_refused():
    """Bodies that wait count together, so that many large ones do not fill the memory."""
    admission = Admission()
    admission.buffered = 4 * MIB

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"[]", "more_body": False}

    with pytest.raises(Refusal, match="too many bytes") as refusal:
        asyncio.run(admission.body({"type": "http", "headers": []}, receive, 1))
    assert refusal.value.status == 503
    assert admission.buffered == 4 * MIB


def test_a_token_is_asked_for_where_one_is_set(start, tmp_path):
    """With --token-file every address but health wants the token."""
    (tmp_path / "token").write_text("secret\n")
    server = start("--token-file", str(tmp_path / "token"))
    assert server.http.get("/health/ready").status_code == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret"}):
        response = server.http.post(PREDICT, json={"instances": []}, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert server.http.get("/v1/models/mnist").status_code == 401
    right = server.http.post(PREDICT, json={"instances": []}, headers={"authorization": "Bearer secret"})
    assert right.status_code == 200


def test_a_client_with_the_token_is_let_in(start, tmp_path):
    """The client sends its token; without one it is told that a token is needed."""
    (tmp_path / "token").write_text("secret")
    server = start("--token-file", str(tmp_path / "token"))
    endpoint = Endpoint(str(server.http.base_url), "mnist")
    with Client(replace(endpoint, token_file=tmp_path / "token")) as client:
        assert client.predict(np.zeros((1, 28, 28))).version == 1
        client.check_token()
    needed = "answers 401: a token is needed.*SERVING_TOKEN_FILE, which is not set, has to name the file"
    with Client(endpoint) as client:
        for ask in (client.status, client.check_token):
            with pytest.raises(WrongInput, match=needed):
                ask()


def test_a_token_that_was_changed_is_asked_for_at_once(start, tmp_path):
    """Without a new start: the new one is let in and the old one is not; a damaged file changes nothing."""
    path = tmp_path / "token"
    path.write_text("first")
    server = start("--token-file", str(path))

    def statuses(*tokens: str) -> list[int]:
        return [
            server.http.get("/v1/models/mnist", headers={"authorization": f"Bearer {token}"}).status_code
            for token in tokens
        ]

    assert statuses("first", "second") == [200, 401]
    write_bytes(path, b"second\n")
    assert statuses("first", "second") == [401, 200]
    for damage in (lambda: write_bytes(path, b""), path.unlink):
        damage()
        assert statuses("first", "second") == [401, 200]
    assert f"the token file {path} is empty; the token of before is asked for" in server.log.read_text()


@pytest.mark.parametrize("content", [None, "\n"], ids=["missing", "empty"])
def test_a_token_file_without_a_token_is_an_error(start, tmp_path, content):
    """A server that is to ask for a token never runs without one."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    server = start("--token-file", str(path), wait=False)
    assert server.process.wait(20) == 2
    assert f"the token file {path}" in server.log.read_text()
