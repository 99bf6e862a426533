"""Small real parts: IDX files, archives of pictures, an HTTP server that commits faults."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.datasets.catalogue import Dataset, Published


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of the tests are on this machine: no proxy stands before them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def idx() -> Callable[[np.ndarray], bytes]:
    """The IDX file of an array of bytes."""
    return _idx


@dataclass
class Small:
    """A dataset of a few random images: its arrays, and its files as its home would publish them."""

    arrays: dict[str, np.ndarray]
    published: dict[str, bytes]
    files: tuple[Published, ...]

    def dataset(self, *sources: str, **fields: Any) -> Dataset:
        """Its entry in a catalogue, with these sources."""
        images = {"train": len(self.arrays["train-images"]), "test": len(self.arrays["test-images"])}
        return Dataset("small", "small", "published", images, sources, self.files, **fields)


@pytest.fixture
def small() -> Small:
    """30 training and 10 test images with labels."""
    generator = np.random.default_rng(5)
    arrays, published, files = {}, {}, []
    for split, prefix, count in [("train", "train", 30), ("test", "t10k", 10)]:
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        labels = generator.integers(0, 10, count, np.uint8)
        for content, array, name in [
            ("images", images, f"{prefix}-images-idx3-ubyte"),
            ("labels", labels, f"{prefix}-labels-idx1-ubyte"),
        ]:
            raw = _idx(array)
            packed = gzip.compress(raw, mtime=0)
            arrays[f"{split}-{content}"] = array
            published[f"{name}.gz"] = packed
            digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
            files.append(Published(name, content, split, count, digest, len(packed)))
    return Small(arrays, published, tuple(files))


def _png(pixels: np.ndarray, mode: str = "L") -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def png() -> Callable[..., bytes]:
    """The PNG file of an array of grey pixels."""
    return _png


def _archive(members: list[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


@pytest.fixture
def archive() -> Callable[[list[tuple[str | tarfile.TarInfo, bytes]]], bytes]:
    """The .tar.gz of members, each a name or a TarInfo with its bytes."""
    return _archive


@dataclass
class Home:
    """An HTTP server with files, and with faults that it commits one per request, in order.

    Faults: a status; `("cut", n)` and `("stall", n)` after n bytes of the body; `"no ranges"` answers the
    whole file; `"wrong range"` answers another part than asked for; `("redirect", path)`.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def home() -> Iterator[Home]:
    """A running server on a free port of 127.0.0.1."""
    served: Home

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.requests.append((self.path, asked))
            fault = served.faults.pop(0) if served.faults else None
            body = served.files.get(self.path.lstrip("/"))
            if isinstance(fault, int):
                return self._answer(fault, b"")
            if isinstance(fault, tuple) and fault[0] == "redirect":
                return self._answer(302, b"", {"Location": fault[1]})
            if body is None:
                return self._answer(404, b"no such file")
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            if fault == "no ranges":
                start = 0
            if fault == "wrong range":
                start -= 1
            if start >= len(body):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
            return self._answer(206 if start else 200, body[start:], headers, fault)

        def _answer(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, fault: Any = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if isinstance(fault, tuple):
                self.wfile.write(body[: fault[1]])
                self.wfile.flush()
                if fault[0] == "stall":
                    served.over.wait(30)
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        served = Home(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Home]:
    """Publish an npm package of files; npm asks the test's server from now on."""

    def run(name: str, version: str, files: dict[str, bytes], **fields: Any) -> Home:
        manifest = {"name": name, "version": version} | fields
        members = [("package/package.json", json.dumps(manifest).encode())]
        packed = _archive([*members, *((f"package/{path}", data) for path, data in files.items())])
        integrity = f"sha512-{base64.b64encode(hashlib.sha512(packed).digest()).decode()}"
        dist = {"tarball": f"{home.url}{name}-{version}.tgz", "integrity": integrity}
        document = {
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: manifest | {"dist": dist}},
        }
        home.files |= {name: json.dumps(document).encode(), f"{name}-{version}.tgz": packed}
        return home

    monkeypatch.setenv("npm_config_registry", home.url)
    return run
