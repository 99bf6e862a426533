"""A Prefect server for one run, where the user has none.

Prefect can start one by itself, but in the terminal's process group: Ctrl-C ends it before the run, which
then tries for minutes to report to it, and a killed run leaves it behind. This one is out of the terminal's
reach and ends with the run, however that ends; and it starts while the run still imports what it needs.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from typing import IO

from settings.errors import Surroundings

START_SECONDS = 120.0  # the first start makes the database
END_SECONDS = 5.0
POLL_SECONDS = 0.1

# PR_SET_PDEATHSIG is 1: the kernel sends SIGTERM when the parent is gone. It outlives the exec.
WITH_ITS_PARENT = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
SERVE = ("-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1")
VARIABLES = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
}


def start_temporary_server() -> str:
    """Give the address of the API of a new server that answers, and keeps its records in Prefect's home."""
    from prefect.settings import get_current_settings

    port = free_port()
    reach_directly("127.0.0.1")
    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    with tempfile.TemporaryFile() as log, (home / "temporary-server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that make the database at once harm each other
        server = subprocess.Popen(
            [sys.executable, "-c", WITH_ITS_PARENT, *SERVE, "--port", str(port), "--log-level", "error"],
            env={**os.environ, **settings, **VARIABLES},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # At its exit Prefect sends the last lines of the log; it registered that later, so it comes first.
        atexit.register(end, server)
        import prefect.flows  # noqa: F401  while it starts

        url = f"http://127.0.0.1:{port}/api"
        await_answer(url, server, log)
        return url


def await_answer(url: str, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Wait until the server is healthy; Surroundings tells what it said where it is not."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            said = " | ".join(log.read().decode(errors="replace").strip().splitlines()[-3:]) or "nothing"
            raise Surroundings(
                f"the temporary Prefect server did not start (it said: {said}): start one yourself "
                "(prefect server start) and name it in PREFECT_API_URL"
            )
        time.sleep(POLL_SECONDS)


def answers(url: str) -> bool:
    """Tell whether a Prefect server at this address is healthy."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=END_SECONDS):  # noqa: S310
            return True
    except (OSError, ValueError):
        return False


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server."""
    server.terminate()
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def reach_directly(host: str) -> None:
    """Let no proxy of the environment stand between this run and a host."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), host]))


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
