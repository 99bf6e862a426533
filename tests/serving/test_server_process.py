"""The process: what it imports, how soon it is ready, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

PREDICT = "/v1/models/mnist:predict"
GREY = [[0.5] * 28] * 28


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def test_the_server_imports_neither_prefect_nor_tensorflow_nor_channels():
    """All modules of the LiteRT server together leave these out, so that it starts fast and stays small."""
    code = (
        "import sys, tasks.serving.__main__, tasks.serving.litert\n"
        "unwanted = {'prefect', 'tensorflow', 'tasks.channels', 'pydantic', 'fastapi', 'httpx'}\n"
        "print(sorted(unwanted & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_the_server_is_small(start):
    """Below 150 MB after a thousand images; how soon it is ready a benchmark prints."""
    server = start()
    assert server.predict(np.zeros((1000, 28, 28))).status_code == 200
    assert resident_mib(server.process.pid) < 150e6 / 2**20


def test_health_answers_while_a_large_request_is_computed(start):
    """Health and single images are answered before a request of thousands of images that came first."""
    server = start()
    body = json.dumps({"instances": [GREY] * 5000}).encode()
    with server.connect() as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\n" % PREDICT.encode())
        connection.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
        assert server.http.get("/health/live").status_code == 200
        assert server.predict([GREY]).status_code == 200
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_health_tells_strangers_neither_process_nor_paths(start, releases):
    """What is served, how it goes, and ids that mean something to the starter alone."""
    server = start("--start", "an-id")
    server.want(version=9)
    while not (health := server.health())["error"]:
        assert server.process.poll() is None
    assert health.keys() == {
        *("status", "version", "digest", "runtime", "error", "fallback", "settled"),
        *("document", "revision", "start"),
    }
    assert (health["start"], health["error"]) == (
        "an-id",
        "version 9 cannot be served: version 9 is not in the releases",
    )
    told = "".join(
        server.http.get(path).text
        for path in ("/health/ready", "/health/live", "/v1/models/mnist", "/metrics", "/nothing")
    )
    assert "/" not in server.http.get("/health/ready").text
    for secret in (str(server.document.parent), str(releases), '"pid"', f":{server.process.pid}"):
        assert secret not in told
    server.document.unlink()
    while "there is no document" not in (error := server.health()["error"]):
        assert server.process.poll() is None
    assert "/" not in error


def test_sigterm_finishes_what_is_in_flight(start):
    """A request that is half received when SIGTERM comes is answered; then the process exits with 0."""
    server = start()
    body = json.dumps({"instances": [GREY]}).encode()
    with server.connect() as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\n" % PREDICT.encode())
        connection.sendall(b"content-length: %d\r\n\r\n" % len(body) + body[:100])
        assert server.health()["status"] == "ready"
        server.process.send_signal(signal.SIGTERM)
        while listens(server.port):
            assert server.process.poll() is None
        connection.sendall(body[100:])
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer.lower()
    assert server.process.wait(15) == 0


def test_a_client_that_keeps_its_connection_is_told_to_close(start):
    """A request just after SIGTERM on a kept connection is answered, with Connection: close."""
    server = start()
    request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(request)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while True:
            connection.sendall(request)
            answer = connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
            if b"connection: close" in answer.lower():
                break
            assert time.monotonic() < deadline, "the client is not told"
    assert server.process.wait(15) == 0


def test_sigint_ends_the_server_as_well(start):
    """Ctrl-C in a terminal is an orderly end."""
    server = start()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(15) == 0


def test_a_taken_port_is_a_clear_error(start):
    """A second server on the port ends with 3 and names host and port."""
    server = start()
    other = start("--port", str(server.port), wait=False)
    assert other.process.wait(15) == 3
    assert f"127.0.0.1:{server.port} cannot be listened on: Address already in use" in other.log.read_text()


def test_the_server_listens_on_loopback_unless_told_otherwise(shared):
    """Without --host nobody else on the network reaches the server."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{shared.port:04X}")]
    assert listening == [f"0100007F:{shared.port:04X}"]


def test_a_server_takes_the_port_over_once_it_is_warm(start):
    """--replaces: the new process loads first, ends the old one, and serves on the same port."""
    old = start()
    replacing = ("--replaces", str(old.process.pid), "--start", "the new one")
    new = start("--port", str(old.port), *replacing, wait=False)
    assert old.process.wait(20) == 0
    while old.health().get("start") != "the new one":
        assert new.process.poll() is None, new.log.read_text()
    assert old.health()["version"] == 1


def test_a_server_that_cannot_load_replaces_nobody(start):
    """--replaces with a version that cannot be served ends with the reason; the old one goes on."""
    old = start()
    new = start("--port", str(old.port), "--replaces", str(old.process.pid), version=9, wait=False)
    assert new.process.wait(20) == 3
    assert "version 9 cannot be served" in new.log.read_text()
    assert old.health()["version"] == 1


def test_the_tensorflow_runtime_gives_the_same_answers(start, golden):
    """With runtime=tensorflow the SavedModel itself answers, and a document brings LiteRT back."""
    server = start(version=1, runtime="tensorflow", wait=False)
    for version, runtime in ((1, "tensorflow"), (2, "litert"), (2, "tensorflow")):
        server.want(version=version, runtime=runtime)
        while (health := server.health()).get("runtime") != runtime or health["version"] != version:
            assert server.process.poll() is None, server.log.read_text()
            assert not health.get("error")
        rows = server.predict(golden[version]["imgs"]).json()["predictions"]
        np.testing.assert_allclose([row["score"] for row in rows], golden[version]["score"], 1e-4, 1e-5)
        assert server.http.post(PREDICT, json={"inputs": [], "signature_name": "infer"}).json() == {
            "outputs": []
        }
