"""How long an unchanged delivery takes, against an empty Prefect flow plus a probe of production.

    python tests/benchmarks/unchanged_run.py [--rounds 7] [--data data]

Starts a Prefect server, delivers once with the default settings into a temporary folder, and then alternates
the two commands, each a process of its own. Prints a Markdown table. Without --data the datasets are fetched.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

EMPTY_FLOW = """
import os
from pathlib import Path
from prefect import flow
from settings.places import read_places
from tasks.channels.rollout import probe
from tasks.release.reader import Release
from tasks.workplace import open_workplace

@flow
def empty():
    place = open_workplace(read_places(os.environ, Path.cwd()), "mnist")
    served = place.backend.current("production")
    release = Release(place.registry.folder(served.version))
    probe(served.endpoint, release, served.version, rtol=1e-4)

empty()
"""


def main() -> None:
    """Measure both in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--data", type=Path, help="a folder of datasets that were fetched before")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environ = {
            **os.environ,
            "DATA_ROOT": str((arguments.data or root / "data").absolute()),
            "MODELS_ROOT": str(root / "models"),
            "STAGE_PORT": str(free_port()),
            "PRODUCTION_PORT": str(free_port()),
            "PREFECT_HOME": str(root / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        environ["PREFECT_API_URL"] = start_prefect(stack, environ, free_port())
        deliver = [sys.executable, str(ROOT / "flows" / "deliver.py")]
        stack.callback(run, [sys.executable, "-m", "flows", "stop"], root, environ)
        run(deliver, root, environ)
        commands = {
            "an unchanged delivery": deliver,
            "an empty flow and a probe": [sys.executable, "-c", EMPTY_FLOW],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(arguments.rounds + 1):
            for name, command in commands.items():
                seconds = run(command, root, environ)
                if number:  # the first round warms up
                    taken[name].append(seconds)
    medians = {name: statistics.median(taken[name]) for name in commands}
    rival = medians["an empty flow and a probe"]
    print(f"| {arguments.rounds} runs each, {os.cpu_count()} cores | seconds, median | ratio |")
    print("|---|--:|--:|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.2f} | {seconds / rival:.2f} |")


def run(command: list[str], folder: Path, environ: dict[str, str]) -> float:
    """Run a command to its end and give the seconds; its output is shown where it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def start_prefect(stack: ExitStack, environ: dict[str, str], port: int) -> str:
    """Give the address of a Prefect server that answers, and that the stack ends."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    url = f"http://127.0.0.1:{port}/api"
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return url
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the Prefect server did not start") from None
            time.sleep(0.1)


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


if __name__ == "__main__":
    main()
