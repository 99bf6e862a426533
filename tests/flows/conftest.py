"""Deliveries in tests: a real Prefect server, real data, real model servers, on a small subset."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]

SMALL: dict[str, dict[str, Any]] = {
    "data": {"limit": 3_000, "held_out": 500, "outliers": ["fashion-mnist"], "made": ["blank"]},
    "classifier": {"steps": 200},
    "concept": {"steps": 200, "batch_size": 128},
    "judging": {
        "min_accuracy": 0.8,
        "min_auroc": 0.9,
        "min_flagged_ratio": 0.1,
        "max_flagged_ratio": 10.0,
        "bootstrap_rounds": 50,
    },
}
"""Hyperparameters with which a delivery of a subset takes seconds and passes its gates."""


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The datasets of all tests: fetched once, by the project's own code, and kept for the next run."""
    return ROOT / "build" / "test-data"


@contextmanager
def prefect_server(home: Path, **environ: str) -> Iterator[str]:
    """Run a Prefect server that keeps everything in a folder, its log as server.log; gives its address."""
    port = free_port()
    told = os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"} | environ
    log = (home / "server.log").open("wb")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=told, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + 400  # it makes its database, and other tests may hold both cores
    with httpx.Client(verify=False) as client:  # noqa: S501 - no TLS; to read certificates takes 0.1 s a time
        while True:
            try:
                client.get(f"{url}/health").raise_for_status()
                break
            except httpx.HTTPError:
                assert server.poll() is None, (home / "server.log").read_text()[-2_000:]
                assert time.monotonic() < deadline, "the Prefect server did not start"
                time.sleep(0.1)
    yield url
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    log.close()


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server of this session."""
    # No test reads them, and their writers lock the database against the next flow run for seconds.
    unread = (
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED",
    )
    # Nor does any wait for what these do all the time, which takes a fourth of a core.
    idle = tuple(
        f"PREFECT_SERVER_SERVICES_{name}_ENABLED"
        for name in ("TRIGGERS", "SCHEDULER", "LATE_RUNS", "FOREMAN")
    )
    off = dict.fromkeys((*unread, *idle, "PREFECT_UI_ENABLED"), "false")
    with prefect_server(tmp_path_factory.mktemp("prefect"), **off) as url:
        yield url


@dataclass
class Run:
    """A command in a session of its own, as in a terminal; what it says goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """What it has said until now."""
        return self.log.read_text(errors="replace")

    def wait_for(self, holds: str | Callable[[], bool]) -> None:
        """Wait until it has said the words, or until something else holds."""
        deadline = time.monotonic() + 300
        while not (holds in self.said if isinstance(holds, str) else holds()):
            assert self.process.poll() is None, f"it ended without {holds}:\n{self.said}"
            assert time.monotonic() < deadline, f"waited in vain for {holds}:\n{self.said}"
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        """Wait for its end; give its exit code and what it said."""
        return self.process.wait(300), self.said

    def done(self) -> str:
        """Wait for its end, which has to be a good one; give what it said."""
        code, said = self.end()
        assert (code, "Traceback" in said) == (0, False), said
        return said

    def refused(self, code: int) -> str:
        """Wait for its end, which has to be with that code and one line for the user; give that line."""
        found, said = self.end()
        assert (found, said.count("slipway: "), "Traceback" in said) == (code, 1, False), said
        last = said.splitlines()[-1]
        assert last.startswith("slipway: "), said
        return last


@dataclass
class Place:
    """A workplace for deliveries of one test: its folders and ports, and ways to deliver."""

    root: Path
    environ: dict[str, str]
    ran: list[str] = field(default_factory=list)  # the tasks that computed something in the last delivery
    runs: list[Run] = field(default_factory=list)

    @property
    def models(self) -> Path:
        """The models' root."""
        return Path(self.environ["MODELS_ROOT"])

    @property
    def production(self) -> str:
        """The address of production."""
        return f"http://127.0.0.1:{self.environ['PRODUCTION_PORT']}"

    def deliver(
        self, *, until: str = "promoted", force: bool = False, why: str = "", **changed: dict[str, Any]
    ) -> Any:
        """Deliver in this process; `changed` holds settings over SMALL, by stage."""
        from flows.deliver import deliver
        from settings.errors import NotPromoted

        stages: Any = {name: SMALL.get(name, {}) | changed.get(name, {}) for name in {*SMALL, *changed}}
        self.ran = []
        try:
            delivered = deliver(**stages, until=until, force=force, why=why)
        except NotPromoted as failed:
            self.note(failed.outcome)
            raise
        self.note(delivered)
        return delivered

    def note(self, delivered: Any) -> None:
        """Keep which tasks computed something."""
        self.ran = [entry.name for entry in delivered.timeline if entry.how == "computed"]

    def rollback(self, to: int = 0, why: str = "") -> Any:
        """Roll back in this process, by the flow."""
        from flows.rollback import rollback

        return rollback(to=to, why=why)

    def write_settings(self, **changed: dict[str, Any]) -> None:
        """Write deliver.toml: SMALL, and over it what is `changed`, by stage."""
        lines = []
        for stage in dict.fromkeys([*SMALL, *changed]):
            values = SMALL.get(stage, {}) | changed.get(stage, {})
            # TOML and JSON write these values alike.
            lines += [f"[{stage}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
        (self.root / "deliver.toml").write_text("\n".join(lines))

    def take(self, models: Path, kinds: Iterable[str]) -> Place:
        """Take over what the store of other models holds of these kinds."""
        for kind in kinds:
            shutil.copytree(models / "store" / kind, self.models / "store" / kind, dirs_exist_ok=True)
        return self

    def run(self, *arguments: str, **environ: str | None) -> Run:
        """Start a command of the project in a session of its own; None takes a variable away."""
        told = {name: value for name, value in (self.environ | environ).items() if value is not None}
        log = self.root / f"{secrets.token_hex(4)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=told,
                cwd=self.root,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(run := Run(process, log))
        return run

    def served_version(self) -> int:
        """Give the version that production answers with, asked with an image."""
        url = f"{self.production}/v1/models/mnist:predict"
        response = httpx.post(url, json={"instances": [[[0.0] * 28] * 28]})
        response.raise_for_status()
        return int(response.headers["x-model-version"])

    def kill_production(self) -> None:
        """Let production's server crash."""
        from tasks.channels.process import is_running, listener_on

        pid = listener_on(int(self.production.rpartition(":")[2]))
        assert pid
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_running(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def events(self) -> list[tuple[str, int]]:
        """Give the history as pairs of event and version."""
        from tasks.release.history import History

        return [
            (event.event, event.version)
            for event in History(self.models / "mnist" / "history.jsonl").events()
        ]

    def stop(self) -> None:
        """Stop the servers, and what a failed test left running."""
        for run in self.runs:
            if run.process.poll() is None:
                os.killpg(run.process.pid, signal.SIGKILL)
                run.process.wait()
        self.run("-m", "flows", "stop").done()


@pytest.fixture
def place(
    tmp_path: Path, data_root: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A workplace with nothing in it but the datasets; its servers are stopped at the end."""
    from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

    environ = {
        "MODELS_ROOT": str(tmp_path / "models"),
        "DATA_ROOT": str(data_root),
        "STAGE_PORT": str(free_port()),
        "PRODUCTION_PORT": str(free_port()),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    made = Place(tmp_path, os.environ | {"PREFECT_API_URL": prefect_api})
    made.write_settings()
    storage = tmp_path / "models" / "records"
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOCAL_STORAGE_PATH: storage}):
        yield made
    made.stop()


VARIANTS = ({"steps": 150}, {"steps": 201}, {"steps": 202})
"""Other classifiers whose releases are at hand, for tests of what comes after the export."""

EXPORTED = ("classifier", "concept", "release")
JUDGED = (*EXPORTED, "scores", "verdict")


@pytest.fixture
def template(place: Place, of_all_workers: Path) -> Path:
    """The models' root of a small model whose version 1 was promoted, and the artifacts of VARIANTS.

    Made once for all processes that share the tests; not to be changed.
    """
    made = of_all_workers / "template"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            place.deliver()
            aside = made.with_name(secrets.token_hex(4))
            shutil.copytree(place.models, aside, ignore=shutil.ignore_patterns("channels", "lock"))
            for variant in VARIANTS:
                place.deliver(classifier=variant, until="exported")
            shutil.copytree(place.models / "store", aside / "store", dirs_exist_ok=True)
            place.stop()
            shutil.rmtree(place.models)
            aside.rename(made)
    return made


@pytest.fixture
def exported(place: Place, template: Path) -> Place:
    """A workplace whose delivery finds the networks and the release, and has to judge and promote it."""
    return place.take(template, EXPORTED)


@pytest.fixture
def judged(place: Place, template: Path) -> Place:
    """A workplace whose delivery finds everything but a version in production."""
    return place.take(template, JUDGED)


@pytest.fixture
def delivered(place: Place, template: Path) -> Place:
    """A workplace in which version 1 of a small model is in production."""
    shutil.copytree(template, place.models, copy_function=shutil.copy2)
    place.deliver()
    assert place.ran == ["promote"], "the delivery of the template is not reused"
    assert place.served_version() == 1
    return place
