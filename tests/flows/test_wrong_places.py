"""Places that cannot be used: each is one true line that names the variable and the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.failures import for_user
from tests.flows.conftest import ROOT


class Site(BaseHTTPRequestHandler):
    """A Prefect server as far as its addresses go: pages everywhere, its API below /api."""

    def do_GET(self) -> None:
        body = b"true" if self.path == "/api/health" else b"<html>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Keep silent."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of that server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def refused(folder: Path, **environ: str) -> tuple[int, list[str]]:
    """Deliver in an empty folder; give the exit code and the lines that are said."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "flows" / "deliver.py")],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_the_address_of_the_pages_in_place_of_the_api(tmp_path: Path, site: str) -> None:
    """The address of the API is named; it is not said that nobody answers."""
    assert refused(tmp_path, PREFECT_API_URL=site) == (
        2,
        [
            f"slipway: what answers at PREFECT_API_URL={site} is not the API of a Prefect server: "
            f"its API is at {site}/api"
        ],
    )
    assert refused(tmp_path, PREFECT_API_URL=f"{site}/other")[1][0].endswith("its address ends in /api")


@pytest.mark.parametrize("variable", ["MODELS_ROOT", "DATA_ROOT"])
def test_a_root_in_which_no_file_can_be_made(tmp_path: Path, variable: str) -> None:
    """/proc takes no files: the variable is named, before anything starts."""
    code, said = refused(tmp_path, **{variable: "/proc"})
    assert (code, len(said)) == (3, 1)
    assert said[0].startswith(f"slipway: {variable} is /proc, where no file can be made (")


def test_a_home_that_cannot_be_written_blames_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's folder below HOME has a variable of its own."""
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    told = str(for_user(PermissionError(13, "Permission denied", "/somebody/.prefect/prefect.db")))
    assert told == (
        "Permission denied (/somebody/.prefect/prefect.db): "
        "PREFECT_HOME names another folder for what Prefect keeps"
    )
    assert "PREFECT_HOME" not in str(for_user(PermissionError(13, "Permission denied", "/elsewhere/file")))
