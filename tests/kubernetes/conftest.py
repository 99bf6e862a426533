"""The delivery on a real cluster: the one that kubectl speaks to, in a namespace of its own.

`make test-kubernetes` builds the images, brings them into the cluster and runs this. Everything is done as a
user does it: by the Makefile's targets and by kubectl.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = os.environ.get("NAMESPACE", "slipway-test")
OVERLAY = "tests/kubernetes/overlay"
START_SECONDS = 20  # of the overlay: within which a run has to start

# Kills what runs the flow, as the kernel does where memory runs out; the pod's first process goes on.
KILL_THE_ENGINE = """
import os, pathlib, signal
for process in pathlib.Path("/proc").iterdir():
    if process.name.isdigit() and process.name != str(os.getpid()):
        if b"prefect.engine" in (process / "cmdline").read_bytes():
            os.kill(int(process.name), signal.SIGKILL)
"""

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

SMALL: Mapping[str, Mapping[str, Any]] = {
    "data": {"limit": 3_000, "held_out": 500, "outliers": ["fashion-mnist"], "made": ["blank"]},
    "classifier": {"steps": 200},
    "concept": {"steps": 200, "batch_size": 128},
    "judging": {
        "min_accuracy": 0.8,
        "min_auroc": 0.9,
        "trivial_detectors": False,
        "champion": False,
        "min_flagged_ratio": 0.1,
        "max_flagged_ratio": 10.0,
        "bootstrap_rounds": 50,
    },
}
"""Hyperparameters with which a delivery of a subset takes seconds and passes its gates."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kubernetes)
            item.add_marker(pytest.mark.timeout(600))


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


@dataclass
class Run:
    """A flow run."""

    install: Installation
    id: str

    def read(self) -> dict[str, Any]:
        """Give what the Prefect server knows of it."""
        return dict(self.install.prefect("GET", f"/flow_runs/{self.id}"))

    @property
    def state(self) -> tuple[str, str]:
        """Its state's type, and the message."""
        state = self.read()["state"]
        return state["type"], state["message"] or ""

    def end(self, seconds: float = 180) -> tuple[str, str]:
        """Wait for its end; give the state's type and the message."""
        eventually(lambda: self.state[0] in FINAL, f"the end of {self.id}: {self.state}", seconds)
        return self.state

    def end_for_good(self, starts: int, seconds: float = 300) -> tuple[str, str]:
        """Wait for its end after so many starts: until then, a crash is not its end."""
        eventually(
            lambda: self.read()["run_count"] >= starts and self.state[0] in FINAL,
            f"{starts} starts of {self.id}: {self.state}",
            seconds,
        )
        return self.state

    def done(self) -> Run:
        """Wait for its end, which has to be a good one."""
        state, message = self.end()
        assert state == "COMPLETED", f"{state}: {message}\n{self.said}"
        return self

    @property
    def said(self) -> str:
        """Its log."""
        body = {
            "logs": {"flow_run_id": {"any_": [self.id]}},
            "sort": "TIMESTAMP_ASC",
            "limit": 200,
        }
        lines: list[str] = []
        while found := self.install.prefect("POST", "/logs/filter", json=body | {"offset": len(lines)}):
            lines += [line["message"] for line in found]
        return "\n".join(lines)

    @property
    def tasks(self) -> dict[str, str]:
        """The states of its tasks by name."""
        body = {"flow_runs": {"id": {"any_": [self.id]}}, "limit": 200}
        return {
            task["name"]: task["state"]["name"]
            for task in self.install.prefect("POST", "/task_runs/filter", json=body)
            if task["state"]
        }

    @property
    def ran(self) -> set[str]:
        """The tasks that computed something."""
        return {name for name, state in self.tasks.items() if state == "Completed"}

    def pods(self) -> list[str]:
        """The names of its pods that have not ended."""
        found = self.install.items("pods", "-l", f"prefect.io/flow-run-id={self.id}")
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] in ("Pending", "Running")]

    def kill_the_engine(self) -> None:
        """Kill the process that runs the flow, in its pod."""
        self.install.kubectl("exec", *self.pods(), "--", "python", "-c", KILL_THE_ENGINE)

    def wait_for(self, words: str, seconds: float = 120) -> None:
        """Wait until its log has the words."""
        eventually(lambda: words in self.said, f"{words!r} in the log of {self.id}: {self.state}", seconds)


@dataclass
class Installation:
    """Slipway in a namespace of the cluster."""

    namespace: str
    forwards: dict[str, Forward] = field(default_factory=dict)

    eventually = staticmethod(eventually)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace."""
        return kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check)

    def items(self, *what: str) -> list[dict[str, Any]]:
        """Give objects of the namespace."""
        return list(json.loads(self.kubectl("get", *what, "-o", "json"))["items"])

    def make(self, *targets: str, **variables: str) -> str:
        """Run the Makefile's targets for this namespace; give what they print."""
        given = {"NAMESPACE": self.namespace, "OVERLAY": OVERLAY} | variables
        words = [f"{name}={value}" for name, value in given.items()]
        done = subprocess.run(
            ["make", "--no-print-directory", *targets, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.args}: {done.stdout}{done.stderr}"
        return done.stdout

    def worker(self, *command: str) -> str:
        """Run a command in the worker's pod."""
        return self.kubectl("exec", "deployment/prefect-worker", "-c", "worker", "--", *command)

    def forward(self, service: str, port: int) -> Forward:
        """Give the way to a Service."""
        return self.forwards.setdefault(service, Forward(self.namespace, service, port))

    def prefect(self, method: str, path: str, **more: Any) -> Any:
        """Ask the Prefect server."""
        auth = self.kubectl("get", "secret", "prefect-auth", "-o", "jsonpath={.data.auth-string}")
        response = self.forward("prefect-server", 4200).ask(
            method, f"/api{path}", headers={"Authorization": f"Basic {auth}"}, **more
        )
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def start(self, flow: str, parameters: Mapping[str, Any], **job_variables: Any) -> Run:
        """Start a run of FLOW/kubernetes."""
        deployment = self.prefect("GET", f"/deployments/name/{flow}/kubernetes")["id"]
        body = {"parameters": parameters, "job_variables": job_variables, "state": {"type": "SCHEDULED"}}
        made = self.prefect("POST", f"/deployments/{deployment}/create_flow_run", json=body)
        return Run(self, made["id"])

    def run(self, id: str) -> Run:  # noqa: A002 - what Prefect calls it
        """Give the flow run of an id."""
        return Run(self, id)

    def deliver(
        self, until: str = "promoted", variables: Mapping[str, Any] | None = None, **changed: Any
    ) -> Run:
        """Start a delivery; `changed` holds settings over SMALL, by stage."""
        stages = {name: {**SMALL.get(name, {}), **changed.get(name, {})} for name in {*SMALL, *changed}}
        return self.start("deliver", stages | {"until": until}, **(variables or {}))

    def production(self, path: str = "/v1/models/mnist", **more: Any) -> httpx.Response:
        """Ask production."""
        method = "POST" if more else "GET"
        return self.forward("mnist-production", 8501).ask(method, path, **more)

    def served_version(self) -> int:
        """Give the version that production answers with, asked with an image."""
        forward = self.forward("mnist-production", 8501)
        forward.close()  # it is bound to one pod
        answer = self.production("/v1/models/mnist:predict", json={"instances": [[[0.0] * 28] * 28]})
        assert answer.status_code == 200, answer.text
        return int(answer.headers["x-model-version"])

    def production_pods(self) -> set[str]:
        """The UIDs of production's pods."""
        return {pod["metadata"]["uid"] for pod in self.items("pods", "-l", "slipway/channel=production")}

    def pod(self, image: str, *command: str, script: str = "", volume: str = "") -> subprocess.Popen[str]:
        """Start a pod of an image (flow or serve) whose command reads a script; it goes when it ends."""
        deployment = {"flow": "prefect-worker", "serve": "mnist-production"}[image]
        where = "jsonpath={.spec.template.spec.containers[0].image}"
        name = self.kubectl("get", "deployment", deployment, "-o", where)
        container: dict[str, Any] = {
            "name": "pod",
            "image": name,
            "command": list(command),
            "stdin": True,
            "stdinOnce": True,
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "securityContext": user | {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        }
        if volume:
            container["volumeMounts"] = [{"name": volume, "mountPath": f"/{volume}"}]
            spec["volumes"] = [{"name": volume, "persistentVolumeClaim": {"claimName": volume}}]
        pod = f"test-{secrets.token_hex(3)}"
        options = ["--restart=Never", "--rm", "--stdin", "--quiet", "--overrides", json.dumps({"spec": spec})]
        process = subprocess.Popen(
            ["kubectl", "-n", self.namespace, "run", pod, "--image", name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(script)
        process.stdin.close()
        process.stdin = None
        return process

    def in_models(self, *command: str) -> str:
        """Run a command in a pod of production, which has the volume of the models."""
        return self.kubectl("exec", "deployment/mnist-production", "--", *command)

    def cancel_all(self) -> None:
        """End all runs, as those of a test that failed: the next one would wait for them."""
        active = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}}}
        found = self.prefect("POST", "/flow_runs/filter", json={"flow_runs": active})
        for run in found:
            body = {"state": {"type": "CANCELLED"}, "force": True}
            self.prefect("POST", f"/flow_runs/{run['id']}/set_state", json=body)
        if found:
            self.kubectl("delete", "jobs", "--all", "--cascade=foreground", "--timeout=60s")

    def close(self) -> None:
        """Close all ways."""
        for forward in self.forwards.values():
            forward.close()


@pytest.fixture(scope="session")
def cluster() -> None:
    """Refuse to go on without a cluster, in plain words."""
    if shutil.which("kubectl") is None:
        pytest.fail("this suite needs kubectl, and a cluster that it speaks to (KUBECONFIG)", pytrace=False)
    answer = subprocess.run(
        ["kubectl", "get", "--raw", "/readyz"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        pytest.fail(f"this suite needs a cluster that kubectl speaks to: {answer.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def published() -> Path:
    """A folder with the published files of the datasets of SMALL, fetched once by the project's own code."""
    root = ROOT / "build" / "test-data"
    code = "from tasks.opening import open_dataset; [open_dataset(n) for n in ('mnist', 'fashion-mnist')]"
    subprocess.run(
        ["python", "-c", code],
        env=os.environ | {"DATA_ROOT": str(root), "MODELS_ROOT": str(ROOT / "build" / "test-models")},
        cwd=ROOT,
        check=True,
    )
    return root


def bring_up(namespace: str, published: Path, **variables: str) -> Installation:
    """Bring Slipway up in an empty namespace, with the commands of the walk-through."""
    made = Installation(namespace)
    if "REUSE_NAMESPACE" in os.environ:  # to work on a test: what an earlier run left is good enough
        made.make("manifests", "deployments", **variables)
        return made
    kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
    made.make("manifests", **variables)
    made.make("deployments", **variables)
    made.make("seed", DATA=str(published), **variables)
    return made


@pytest.fixture(scope="session")
def install(cluster: None, published: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Slipway in a namespace that was empty; it stays after a failure, to be looked at."""
    made = bring_up(NAMESPACE, published)
    yield made
    made.close()
    if not request.session.testsfailed and "REUSE_NAMESPACE" not in os.environ:
        kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


@pytest.fixture
def delivered(install: Installation) -> Iterator[Installation]:
    """An installation with a version in production, and without a run."""
    install.cancel_all()
    if not install.production_pods():
        install.deliver().done()
    yield install
    install.cancel_all()


@pytest.fixture
def seed() -> int:
    """A seed that no delivery of the namespace had: the classifier is trained with it anew."""
    return secrets.randbelow(2**31)
