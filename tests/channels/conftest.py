"""Real releases, and a backend on free ports whose servers end with the test."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.channels.backend import Channel, Endpoint
from tasks.channels.local import LocalBackend
from tasks.release.document import Wanted


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def models(tmp_path: Path, releases: Path) -> Path:
    """A models root: release 1 promoted, 2 a candidate, and 3 a candidate with an altered byte."""
    root = tmp_path / "models"
    shutil.copytree(releases / "1", root / "mnist" / "1")
    shutil.copytree(releases / "2", root / "candidates" / "mnist" / "2")
    shutil.copytree(releases / "2", root / "candidates" / "mnist" / "3")
    tflite = root / "candidates" / "mnist" / "3" / "assets.extra" / "model.tflite"
    content = bytearray(tflite.read_bytes())
    content[1000] ^= 1
    tflite.write_bytes(content)
    return root


@pytest.fixture
def make_backend(models: Path) -> Iterator[Callable[..., LocalBackend]]:
    """Make a backend: `make_backend(host=..., stage=port, production=port, root=...)`."""
    backends: list[LocalBackend] = []

    def make(
        *,
        host: str = "127.0.0.1",
        stage: int | None = None,
        production: int | None = None,
        root: Path | None = None,
    ) -> LocalBackend:
        backend = LocalBackend(
            root or models,
            "mnist",
            models / "mnist",
            models / "candidates" / "mnist",
            host,
            {"stage": stage or free_port(), "production": production or free_port()},
        )
        backends.append(backend)
        return backend

    yield make
    for backend in backends:
        backend.remove("stage")
        backend.remove("production")


@pytest.fixture
def backend(make_backend: Callable[..., LocalBackend]) -> LocalBackend:
    """A backend on free ports."""
    return make_backend()


@pytest.fixture
def put(backend: LocalBackend) -> Callable[..., Endpoint]:
    """Put a version: `put(1)` into production, `put(2, "stage")`."""

    def put(version: int, channel: Channel = "production", **document: int) -> Endpoint:
        wanted = Wanted(version, **document)
        return backend.put(channel, wanted, should_stop=lambda: False)

    return put
