"""docker/compose.yaml brought up for real, as a project of its own on free ports.

`make test-compose` builds the images and runs this. Everything is done as a user does it: by docker compose.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.conftest import ROOT, SMALL, free_port


@dataclass
class Run:
    """A flow run that has ended."""

    code: int  # of the command that started it and watched it
    message: str  # of its last state
    tasks: dict[str, str]  # the states of its tasks by name

    @property
    def ran(self) -> set[str]:
        """The tasks that computed something, or looked whether there is something to do."""
        return {name for name, state in self.tasks.items() if state == "Completed"}


@dataclass
class Composed:
    """The containers, and ways to deliver through them."""

    project: str
    ports: dict[str, int]

    @property
    def command(self) -> list[str]:
        """The words that every call of docker compose begins with, in the folder of the repository."""
        return ["docker", "compose", "--project-name", self.project, "--file", "docker/compose.yaml"]

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker compose."""
        return self.script(*self.command, *arguments, check=check)

    def script(self, *command: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the variables of this project."""
        variables = {name: str(port) for name, port in self.ports.items()} | environ
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"
        return done

    def in_service(self, service: str, *command: str, check: bool = True) -> str:
        """Run a command in the container of a service; give what it prints."""
        done = self.call("exec", "-T", "--env", "COLUMNS=200", service, *command, check=check)
        return done.stdout + done.stderr

    def run(self, deployment: str, **parameters: Any) -> Run:
        """Run a deployment with the documented command, and wait for its end."""
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}={json.dumps(value)}")]
        command = ["prefect", "deployment", "run", deployment, "--watch", *given]
        done = self.call("exec", "-T", "--env", "COLUMNS=200", "worker", *command, check=False)
        found = re.search(r"UUID: (\S+)", done.stdout)
        assert found is not None, done.stdout + done.stderr
        state = self.prefect("GET", f"/flow_runs/{found[1]}")["state"]
        asked = {"flow_runs": {"id": {"any_": [found[1]]}}, "limit": 200}
        tasks = self.prefect("POST", "/task_runs/filter", json=asked)
        return Run(
            done.returncode,
            state["message"] or "",
            {task["name"]: task["state"]["name"] for task in tasks if task["state"]},
        )

    def deliver(self, **changed: dict[str, Any]) -> Run:
        """Deliver; `changed` holds settings over SMALL, by stage."""
        stages = {name: SMALL.get(name, {}) | changed.get(name, {}) for name in {*SMALL, *changed}}
        return self.run("deliver/compose", **stages)

    def prefect(self, method: str, path: str, **more: Any) -> Any:
        """Ask the Prefect server."""
        url = f"http://127.0.0.1:{self.ports['PREFECT_PORT']}/api{path}"
        response = httpx.request(method, url, timeout=20, trust_env=False, **more)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def ask(self, channel: str) -> httpx.Response:
        """Ask a channel with an image."""
        url = f"http://127.0.0.1:{self.ports[f'{channel.upper()}_PORT']}/v1/models/mnist:predict"
        return httpx.post(url, json={"instances": [[[0.0] * 28] * 28]}, trust_env=False)

    def served_version(self) -> int:
        """Give the version that production answers with."""
        return int(self.ask("production").raise_for_status().headers["x-model-version"])

    def answers(self, version: int) -> bool:
        """Tell whether production answers with a version."""
        try:
            return self.served_version() == version
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def engine() -> None:
    """Refuse to go on without a Docker engine, in plain words."""
    if shutil.which("docker") is None:
        pytest.fail("this test needs a Docker engine with docker compose: there is no docker", pytrace=False)
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            said = f"{' '.join(command)} says: {answer.stderr.strip()}"
            pytest.fail(f"this test needs a Docker engine with docker compose; {said}", pytrace=False)


@pytest.fixture(scope="session")
def published() -> Path:
    """A folder with the published files of the datasets of SMALL, fetched once by the project's own code."""
    root = ROOT / "build" / "test-data"
    code = "from tasks.opening import open_dataset; [open_dataset(n) for n in ('mnist', 'fashion-mnist')]"
    environ = {"DATA_ROOT": str(root), "MODELS_ROOT": str(ROOT / "build" / "test-models")}
    subprocess.run([sys.executable, "-c", code], env=os.environ | environ, cwd=ROOT, check=True)
    return root


@pytest.fixture(scope="session")
def composed(engine: None, published: Path) -> Iterator[Composed]:
    """The containers on new volumes, with the published files; all of it is removed at the end."""
    names = ("PREFECT_PORT", "STAGE_PORT", "PRODUCTION_PORT")
    made = Composed(f"slipway-test-{secrets.token_hex(3)}", {name: free_port() for name in names})
    try:
        up = made.call("up", "--wait", check=False)
        logs = "" if up.returncode == 0 else made.call("logs", "--tail", "30", check=False).stdout
        assert up.returncode == 0, up.stderr + logs
        # The containers reach no source of the datasets where the machine reaches none.
        made.script("deployments/seed.sh", str(published), COMPOSE=" ".join(made.command))
        yield made
    finally:
        made.call("down", "--volumes", "--timeout", "1", check=False)
