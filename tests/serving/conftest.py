"""Real releases, and real server processes on free ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families  # of Prefect's requirements

PREDICT = "/v1/models/mnist:predict"


def eventually(condition: Callable[[], Any], *, seconds: float = 15.0) -> Any:
    """Wait until the condition holds; give its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)
    return value


def parse(text: str) -> dict[str, float]:
    """Give the samples of a text in the format of Prometheus, read by its own client, each there once."""
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    samples = [sample for family in families for sample in family.samples]
    values = {" ".join((sample.name, *sample.labels.values())): sample.value for sample in samples}
    assert len(values) == len(samples)
    return values


class ServerProcess:
    """A model server of its own document."""

    def __init__(self, folder: Path, releases: Path, *arguments: str) -> None:
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            self.port = trial.getsockname()[1]
        self.document = folder / "channel.json"
        self.log = folder / "server.log"
        self.arguments = ["--document", str(self.document), "--releases", str(releases), "--name", "mnist"]
        self.arguments += ["--port", str(self.port), *arguments]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=20)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tasks.serving", *self.arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )

    def want(self, **document: Any) -> None:
        """Replace the document in one step."""
        self.write(json.dumps(document).encode())

    def write(self, content: bytes) -> None:
        aside = self.document.with_suffix(".new")
        aside.write_bytes(content)
        aside.replace(self.document)

    def health(self) -> dict[str, Any]:
        """What /health/ready says; empty when nobody listens."""
        try:
            return dict(self.http.get("/health/ready").json())
        except httpx.TransportError:
            return {}

    def serves(self, version: int) -> None:
        """Wait until the version is served."""
        eventually(lambda: self.health().get("version") == version or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def predict(self, imgs: Any, **more: Any) -> httpx.Response:
        return self.http.post(PREDICT, json={"instances": np.asarray(imgs).tolist(), **more})

    def metrics(self) -> dict[str, float]:
        """What /metrics says, by name and the values of the labels: "slipway_requests_total 200"."""
        return parse(self.http.get("/metrics").text)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def end(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="session")
def golden(releases: Path) -> dict[int, dict[str, np.ndarray]]:
    """By version the known images, float32 (16, 28, 28), and the SavedModel's outputs for them."""
    from tasks.release.reader import Release

    return {version: Release(releases / str(version)).golden for version in (1, 2)}


@pytest.fixture
def start(tmp_path: Path, releases: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server: `start(version=1)`, with more arguments of the command; None writes no document."""
    servers: list[ServerProcess] = []

    def start(*arguments: str, version: int | None = 1, wait: bool = True, **document: Any) -> ServerProcess:
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        server = ServerProcess(folder, releases, *arguments)
        servers.append(server)
        if version is not None:
            server.want(version=version, **document)
        server.start()
        if version is not None and wait:
            server.serves(version)
        return server

    yield start
    for server in servers:
        server.end()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Iterator[ServerProcess]:
    """A server of version 1 for tests that change nothing; at most 30 images and 1 MiB in a request."""
    server = ServerProcess(tmp_path_factory.mktemp("shared"), releases)
    server.want(version=1, max_images=30, max_request_mib=1)
    server.start()
    try:
        server.serves(1)
        yield server
    finally:
        server.end()
