"""Ways to ask the cluster: kubectl, a wait for what it answers, and a port-forward that heals."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl and give what it prints."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def eventually(holds: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Wait until something holds, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.3)
    return found


class Forward:
    """A way from this machine to a Service, made anew where it broke."""

    def __init__(self, namespace: str, service: str, port: int) -> None:
        self.command = ["kubectl", "-n", namespace, "port-forward", f"service/{service}", f":{port}"]
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def open(self) -> str:
        """Give the address of a way that works."""
        self.close()
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # Forwarding from 127.0.0.1:40001 -> 8501
        self.url = f"http://{line.split()[2]}" if line else ""
        return self.url

    def close(self) -> None:
        """Close the way."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the Service; where the way broke or the server is starting, ask again."""
        deadline = time.monotonic() + 90
        while True:
            try:
                if self.process is None or self.process.poll() is not None:
                    self.open()
                response = httpx.request(method, f"{self.url}{path}", timeout=20, trust_env=False, **more)
                if response.status_code != 503:
                    return response
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self.close()
                why = repr(error)
            else:
                why = response.text
            if time.monotonic() > deadline:
                raise AssertionError(f"{' '.join(self.command)}: {why}")
            time.sleep(0.5)
