"""What a client may ask of the server: size, time, number, and the token."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import zlib
from contextlib import ExitStack, suppress
from dataclasses import replace

import httpx
import numpy as np
import pytest

from settings.errors import WrongInput
from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.serving import limits
from tasks.serving.connection import LEAST_BYTES_PER_SECOND, STRETCH_SECONDS, Progress
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


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "without end"])
@pytest.mark.parametrize("size", [17_000, 60_000])
@pytest.mark.parametrize("packets", [1, 2, 7])
def test_a_large_head_is_refused_alike_however_it_arrives(shared, packets, size, whole):
    """431 as JSON, in one packet or several, with its end in sight or not."""
    head = b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-filler: " + b"a" * size + b"\r\n\r\n" * whole
    with shared.connect() as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(head), -(-len(head) // packets)):
            connection.sendall(head[start : start + -(-len(head) // packets)])
            shared.http.get("/health/live")  # so that this was read before the next comes
        answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"content-type: application/json" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].endswith("exceeds 16384 bytes")


@pytest.mark.parametrize("packets", [1, 2, 7])
def test_a_head_of_the_largest_size_is_taken_however_it_arrives(shared, packets):
    """What is sent behind a head, its body or the next request, is not counted as the head's."""
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 300017\r\nx-filler: ".encode()
    head += b"a" * (16_384 - len(head) - 4) + b"\r\n\r\n"
    sent = 2 * (head + b'{"instances": [] ' + b" " * 299_999 + b"}")
    with shared.connect() as connection:
        for start in range(0, len(sent), -(-len(sent) // packets)):
            connection.sendall(sent[start : start + -(-len(sent) // packets)])
            shared.http.get("/health/live")
        answers = b""
        while answers.count(b'{"predictions":[]}') < 2:
            piece = connection.recv(65_536)
            assert piece, answers
            answers += piece
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_what_is_no_http_is_refused_as_json(shared):
    """Each error is a JSON object with its reason."""
    with shared.connect() as connection:
        connection.sendall(b"HELO mail.example\r\n\r\n")
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "Invalid HTTP request received."


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


def test_the_oldest_idle_connections_make_room(start):
    """Where many connections are open, new ones get in; the one that was silent the longest is closed."""
    server = start()
    assert server.predict([]).status_code == 200  # on a connection that is used again below
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(515)]
        with httpx.Client(base_url=server.http.base_url, trust_env=False) as late:
            assert late.get("/health/live").status_code == 200
            assert late.get("/metrics").status_code == 200
        assert received(idle[0]) == b""
        idle[-1].sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle[-1].recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_too_many_large_requests_at_once_are_refused(monkeypatch):
    """Whole ones beyond the limit get 503 with Retry-After, small ones never; room comes back."""
    monkeypatch.setattr(limits, "MOST_WAITING", 1)
    admission = Admission()
    large = limits.SMALL_BYTES + 1
    with admission.hold(1) as first, admission.hold(1) as second:
        first.take_place(large)
        with pytest.raises(Refusal) as refusal:
            second.take_place(large)
        assert (refusal.value.status, refusal.value.headers) == (503, {"retry-after": "1"})
        second.take_place(limits.SMALL_BYTES)
    with admission.hold(1) as held:
        held.take_place(large)


@pytest.mark.parametrize(("size", "refused"), [(2, False), (limits.SMALL_BYTES + 1, True)])
def test_too_many_bytes_at_once_are_refused(size, refused):
    """Large bodies that wait count together, so that many do not fill the memory; small ones get in."""
    admission = Admission()
    admission.buffered = 4 * MIB

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b" " * size, "more_body": False}

    with admission.hold(1) as held:
        body = held.body({"type": "http", "headers": []}, receive)
        if refused:
            with pytest.raises(Refusal, match="too many bytes") as refusal:
                asyncio.run(body)
            assert refusal.value.status == 503
        else:
            assert len(asyncio.run(body)) == size
    assert admission.buffered == 4 * MIB


def test_a_large_body_that_stands_still_makes_room(monkeypatch):
    """Uploads that have stopped keep no other one out: the longest silent gets 408, and only as needed."""
    admission = Admission()
    scope = {"type": "http", "headers": []}

    async def upload(*pieces: int) -> int:
        """Receive so many bytes, piece by piece; 0 is where nothing comes any more."""
        left = list(pieces)

        async def receive() -> dict[str, object]:
            if not left[0]:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b" " * left.pop(0), "more_body": bool(left)}

        with admission.hold(1) as held:
            return len(await held.body(scope, receive))

    async def attack() -> list[object]:
        stalled = [asyncio.create_task(upload(MIB - 10, 0)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="too many bytes"):
            await upload(100_000)
        monkeypatch.setattr(limits, "STILL_SECONDS", 0.0)
        assert await upload(100_000, 100_000) == 200_000
        done, _ = await asyncio.wait(stalled, timeout=0)
        assert admission.buffered == 3 * (MIB - 10)
        for task in stalled:
            task.cancel()
        outcomes = await asyncio.gather(*stalled, return_exceptions=True)
        assert len(done) == 1
        return outcomes

    first, *others = asyncio.run(attack())
    assert isinstance(first, Refusal)
    assert (first.status, first.headers) == (408, {"connection": "close"})
    assert all(isinstance(other, asyncio.CancelledError) for other in others)
    assert (admission.buffered, admission.receiving) == (0, set())


def test_a_body_has_to_come_at_a_least_rate():
    """A stretch without the least amount is too slow, the last one of a large body too."""
    progress = Progress(100.0)
    stretch, least = STRETCH_SECONDS, int(LEAST_BYTES_PER_SECOND * STRETCH_SECONDS)
    assert not progress.is_slow(100.0 + stretch)
    assert progress.is_slow(100.1 + stretch)
    progress.count(30 * MIB, 101.0)
    progress.count(least - 1, 102.0)
    assert not progress.is_slow(101.0 + stretch)
    assert progress.is_slow(101.1 + stretch)
    progress.count(1, 103.0)
    assert not progress.is_slow(103.0 + stretch)


def slow_uploads(server, stack):
    """Four of the largest body that is allowed, each but for its last bytes."""
    for _ in range(4):
        connection = stack.enter_context(server.connect())
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\n" % PREDICT.encode())
        connection.sendall(b"content-length: %d\r\n\r\n" % (32 * MIB) + b" " * (32 * MIB - 10))


def single_bytes(server, stack):
    """256 requests with the first byte of their body."""
    for _ in range(256):
        connection = stack.enter_context(server.connect())
        head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n["
        connection.sendall(head.encode())


def idle_connections(server, stack):
    """512 connections on which nothing comes."""
    for _ in range(512):
        stack.enter_context(server.connect())


@pytest.mark.parametrize("attack", [slow_uploads, single_bytes, idle_connections])
def test_a_good_client_is_never_refused(start, attack):
    """Whatever others hold: small requests, health and metrics are answered, on old and new connections."""
    server = start()
    image = np.zeros((1, 28, 28))
    with ExitStack() as stack:
        attack(server, stack)
        for _ in range(20):
            assert server.predict(image).status_code == 200
            with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=20) as another:
                assert another.post(PREDICT, json={"instances": image.tolist()}).status_code == 200
                assert another.get("/health/live").status_code == 200
                assert another.get("/health/ready").status_code == 200
                assert another.get("/metrics").status_code == 200
    codes = {name for name in server.metrics() if name.startswith("slipway_requests_total")}
    assert codes == {"slipway_requests_total 200"}


@pytest.mark.parametrize("sent", [1, MIB - 10], ids=["a byte", "all but the last"])
def test_a_body_that_stops_coming_is_cut_off(start, sent):
    """However patient the server is with whole requests."""
    server = start("--receive-seconds", "1000")
    with server.connect() as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\n" % PREDICT.encode())
        connection.sendall(b"content-length: %d\r\n\r\n" % MIB + b" " * sent)
        with suppress(ConnectionResetError):
            assert received(connection) == b""


GZIPPED = gzip.compress(json.dumps({"instances": [[[0.5] * 28] * 28]}).encode(), mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_gzip_body_is_unpacked(shared, coding, chunked):
    """As TensorFlow Serving does; what it holds is answered as if it had come plain."""
    plain = shared.predict([[[0.5] * 28] * 28])
    body = iter([GZIPPED[:50], GZIPPED[50:]]) if chunked else GZIPPED
    packed = shared.http.post(PREDICT, content=body, headers={"content-encoding": coding})
    assert (packed.status_code, packed.json()) == (200, plain.json())


def test_a_gzip_body_may_be_as_large_as_a_plain_one(shared):
    """The limit is on what comes out: a bomb is refused with the step that exceeds it."""
    start, end = b'{"instances": []', b"}"
    for size, status in ((MIB, 200), (MIB + 1, 413), (100 * MIB, 413)):
        body = gzip_of(start, b" " * min(size - 17, MIB), (size - 17) // MIB or 1, end)
        response = shared.http.post(PREDICT, content=body, headers={"content-encoding": "gzip"})
        assert response.status_code == status, response.text
    assert shared.metrics()["process_resident_memory_bytes"] < 200 * MIB


def gzip_of(start: bytes, piece: bytes, count: int, end: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(each) for each in (start, *[piece] * count, end)]
    return b"".join([*pieces, packer.flush()])


@pytest.mark.parametrize(
    ("body", "coding", "status", "message"),
    [
        (b"", "gzip", 400, "not whole"),
        (GZIPPED[:-9], "gzip", 400, "not whole"),
        (GZIPPED + b"more", "gzip", 400, "not gzip"),
        (b'{"instances": []}', "gzip", 400, "not gzip"),
        (b"", "br", 415, "the content encoding 'br' is not known: gzip or none"),
        (GZIPPED, "gzip, gzip", 415, "the content encoding 'gzip, gzip' is not known"),
        (b'{"instances": []}', "identity", 200, ""),
        (GZIPPED + gzip.compress(b" \n", mtime=0), "gzip", 200, ""),
    ],
)
def test_a_body_that_is_packed_otherwise_is_told_so(shared, body, coding, status, message):
    """The reason says what is wrong with the packing, and the header what would be right."""
    response = shared.http.post(PREDICT, content=body, headers={"content-encoding": coding})
    assert response.status_code == status
    if status != 200:
        assert message in response.json()["error"]
    assert response.headers.get("accept-encoding") == ("gzip" if status == 415 else None)


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
