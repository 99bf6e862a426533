"""Kill deliveries at random moments while production is asked without a pause.

python tests/flows/kill_at_random.py --count 20

Each round changes a setting, kills the run with SIGKILL somewhere within its usual duration, runs it again to
its end, and looks at what came of it. Exits with 1 where a delivery after a kill fails, where production
failed to answer, or where anything half-written stays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
[data]
limit = 3_000
held_out = 500
outliers = ["fashion-mnist"]
made = ["blank"]

[classifier]
steps = 200

[concept]
steps = 200
batch_size = 128

[judging]
min_accuracy = 0.5
min_auroc = 0.5
trivial_detectors = false
min_flagged_ratio = 0.0
max_flagged_ratio = 100.0
bootstrap_rounds = 50
champion = false
"""
"""A delivery of seconds. What is looked at is the delivery, so no gate stands in the way of a seed."""

END_SECONDS = 300.0


@dataclass
class Work:
    """The folder, the ports and the environment of the deliveries."""

    folder: Path
    environ: dict[str, str]

    @property
    def models(self) -> Path:
        """The models' root."""
        return Path(self.environ["MODELS_ROOT"])

    @property
    def production(self) -> str:
        """The address of the model in production."""
        return f"http://127.0.0.1:{self.environ['PRODUCTION_PORT']}/v1/models/mnist"

    def start(self, seed: int) -> subprocess.Popen[bytes]:
        """Start a delivery of the model of a seed, in a session of its own."""
        command = [sys.executable, str(ROOT / "flows" / "deliver.py"), "--classifier.seed", str(seed)]
        with (self.folder / "deliver.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> list[str]:
        """Give the lines of the last delivery."""
        return (self.folder / "deliver.log").read_text(errors="replace").splitlines()

    def deliver(self, seed: int) -> float:
        """Deliver to the end; give the seconds that it took. Raises RuntimeError with what it said."""
        began = time.monotonic()
        code = self.start(seed).wait(END_SECONDS)
        if code != 0:
            raise RuntimeError(f"the delivery of seed {seed} ended with {code}:\n" + "\n".join(self.said()))
        return time.monotonic() - began

    def version_of(self, seed: int) -> int:
        """Give the version whose manifest says that its classifier was trained with the seed."""
        manifests = self.models.glob("mnist/*/assets.extra/manifest.json")
        return max(
            int(manifest.parents[1].name)
            for manifest in manifests
            if str(json.loads(manifest.read_bytes())["settings"]["classifier.seed"]) == str(seed)
        )

    def half_written(self) -> list[str]:
        """Give what is still marked as being written."""
        return [str(path) for path in self.models.rglob(".aside-*")]


@dataclass
class Asker(threading.Thread):
    """Asks production for a prediction, again and again, and counts the answers by their version."""

    url: str
    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Ask until it is over, with a new connection each time, as a client without patience."""
        while not self.over.is_set():
            try:
                self.answers[ask(self.url)] += 1
            except (OSError, ValueError) as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")
            self.over.wait(0.005)


def ask(url: str) -> int:
    """Ask for one image; give the version that answers."""
    body = json.dumps({"instances": [[[0.0] * 28] * 28]}).encode()
    request = urllib.request.Request(f"{url}:predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        if len(json.load(response)["predictions"]) != 1:
            raise ValueError("the answer is not of one image")
        return int(response.headers["x-model-version"])


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and all of its group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def rounds(work: Work, count: int, seed: int, usual_seconds: float) -> list[str]:
    """Kill `count` deliveries, print a row for each, and give what went wrong."""
    chance = random.Random(seed)
    wrong = []
    print(f"{'round':>5}  {'killed after':>12}  {'in the middle of':<44}  {'again':>6}  version")
    for number in range(1, count + 1):
        model_seed = 1 + number
        moment = chance.uniform(0.0, usual_seconds)
        process = work.start(model_seed)
        ended = False
        try:
            process.wait(moment)
            ended = True
        except subprocess.TimeoutExpired:
            kill(process)
        where = "its end had come" if ended else last_step(work.said())
        seconds = work.deliver(model_seed)
        served, expected = ask(work.production), work.version_of(model_seed)
        print(f"{number:>5}  {moment:>10.1f} s  {where:<44}  {seconds:>4.1f} s  {served}", flush=True)
        if served != expected:
            wrong.append(f"round {number}: production serves version {served}, not {expected}")
        wrong += [f"round {number}: {path} is half-written" for path in work.half_written()]
    return wrong


def last_step(said: Sequence[str]) -> str:
    """Say in a few words what a killed run had told last."""
    return said[-1].rpartition("| ")[2][:44] if said else "its start"


def free_ports() -> tuple[int, int]:
    """Give two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for trial in (one, other):
            trial.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def workplace(folder: Path, data_root: Path) -> Work:
    """Give a workplace in a folder."""
    (folder / "deliver.toml").write_text(SETTINGS)
    stage, production = free_ports()
    places = {
        "DATA_ROOT": str(data_root),
        "MODELS_ROOT": str(folder / "models"),
        "STAGE_PORT": str(stage),
        "PRODUCTION_PORT": str(production),
    }
    return Work(folder, {**os.environ, **places})


def main(arguments: Sequence[str] | None = None) -> int:
    """Deliver, kill and deliver again; give the exit code."""
    parser = argparse.ArgumentParser(
        description="Kill deliveries at random moments while production is asked without a pause.",
        epilog="PREFECT_API_URL names a Prefect server; without it each delivery starts one of its own.",
    )
    parser.add_argument("--count", type=int, default=20, help="deliveries to kill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (default: %(default)s)")
    parser.add_argument(
        "--data-root",
        type=Path,
        default=ROOT / "build" / "test-data",
        help="folder of the datasets (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = workplace(Path(folder), options.data_root.absolute())
        try:
            work.deliver(0)
            usual_seconds = work.deliver(1)
            asker = Asker(work.production)
            asker.start()
            wrong = rounds(work, options.count, options.seed, usual_seconds)
            asker.over.set()
            asker.join()
        finally:
            subprocess.run([sys.executable, "-m", "flows", "stop"], cwd=folder, env=work.environ, check=False)
    answers = ", ".join(f"{count:,} by {version}" for version, count in sorted(asker.answers.items()))
    print(f"{asker.answers.total():,} answers of production ({answers}), {len(asker.failures)} failures")
    for line in [*asker.failures[:20], *wrong]:
        print(line)
    return 1 if asker.failures or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
