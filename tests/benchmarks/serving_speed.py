"""The model server against a plain FastAPI handler on the SavedModel: requests/s at batch 1, 8 clients.

    python tests/benchmarks/serving_speed.py [--release models/mnist/1] [--rounds 3] [--images 1]

All servers stay up; rounds of load alternate between them, from a process of its own. Prints a Markdown
table; its CPU column is the server's processor time per request, which other load on the machine disturbs
least.
Without --release it exports one of random weights: the speed is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclass
class Server:
    """A running server and what was measured of it."""

    title: str
    port: int
    pid: int
    seconds_to_ready: float
    rates: list[float] = field(default_factory=list)  # requests/s, one per round
    taken: list[float] = field(default_factory=list)  # seconds, one per request
    cpu_seconds: float = 0.0

    def cpu(self) -> float:
        """Seconds of processor time since its start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def row(self, baseline: float) -> str:
        """The server's line of the table; `baseline` is the rival's rate."""
        rate = statistics.median(self.rates)
        p50, p99 = (1000 * float(np.quantile(self.taken, share)) for share in (0.5, 0.99))
        cells = [
            self.title,
            f"{rate:,.0f}",
            f"{rate / baseline:.1f}",
            f"{p50:.2f}",
            f"{p99:.2f}",
            f"{1000 * self.cpu_seconds / len(self.taken):.2f}",
            f"{self.memory_mib():.0f}",
            f"{self.seconds_to_ready:.2f}",
        ]
        return "| " + " | ".join(cells) + " |"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@contextmanager
def running(title: str, port: int, *arguments: str) -> Iterator[Server]:
    """A server process, from its start until it is ready, ended afterwards."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None:
                raise RuntimeError(f"{title} ended with {process.returncode}")
            time.sleep(0.01)
        yield Server(title, port, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(20)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def put_load(server: Server, body: Path, seconds: float, clients: int) -> None:
    """One round of load on a server."""
    command = [sys.executable, str(HERE / "serving_load.py"), str(server.port), str(body)]
    command += ["--seconds", str(seconds), "--clients", str(clients)]
    before = server.cpu()
    result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    server.rates.append(len(result["taken"]) / result["seconds"])
    server.taken += result["taken"]
    server.cpu_seconds += server.cpu() - before


def digits(count: int) -> np.ndarray:
    """Images like digits, a fifth of the pixels inked: float32 (count, 28, 28) in 0..1."""
    rng = np.random.default_rng(2)
    inked = rng.random((count, 28, 28)) < 0.2
    return (rng.integers(0, 256, inked.shape) * inked / 255).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--release", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--images", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "releases").mkdir()
        if options.release is None:
            script = HERE.parent / "serving" / "make_releases.py"
            command = [sys.executable, str(script), str(root / "releases"), "1"]
            subprocess.run(command, check=True, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        else:
            (root / "releases" / "1").symlink_to(options.release.absolute())
        release = root / "releases" / "1"
        (root / "stage.json").write_text('{"version": 1}')
        (root / "tensorflow.json").write_text('{"version": 1, "runtime": "tensorflow"}')
        (root / "body").write_bytes(
            orjson.dumps({"instances": digits(options.images)}, option=orjson.OPT_SERIALIZE_NUMPY)
        )
        common = ("--releases", str(root / "releases"), "--name", "mnist")
        servers = []
        for title, document in (("Slipway, LiteRT", "stage"), ("Slipway, TensorFlow", "tensorflow")):
            port = free_port()
            arguments = ("--document", str(root / f"{document}.json"), "--port", str(port), *common)
            servers.append(stack.enter_context(running(title, port, "-m", "tasks.serving", *arguments)))
        port = free_port()
        rival = running("FastAPI, SavedModel", port, str(HERE / "serving_rival.py"), str(release), str(port))
        servers.append(stack.enter_context(rival))
        for server in servers:
            put_load(server, root / "body", 1.0, options.clients)  # warm-up
            server.rates.clear()
            server.taken.clear()
            server.cpu_seconds = 0.0
        for _ in range(options.rounds):
            for server in servers:
                put_load(server, root / "body", options.seconds, options.clients)
        baseline = statistics.median(servers[-1].rates)
        print(f"{options.images} image(s) a request, {options.clients} clients, {os.cpu_count()} cores\n")
        print("| server | requests/s | ratio | p50 ms | p99 ms | CPU ms | MiB | s to ready |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        for server in servers:
            print(server.row(baseline))


if __name__ == "__main__":
    main()
