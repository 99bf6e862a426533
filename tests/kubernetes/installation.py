"""Slipway in a namespace of the cluster, handled as by a user: with the Makefile's targets and kubectl."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tasks.channels.pods import is_live
from tests.flows import conftest as flows
from tests.kubernetes.asking import Forward, eventually, kubectl
from tests.kubernetes.runs import Run

ROOT = flows.ROOT
OVERLAY = "tests/kubernetes/overlay"

# Versions of few steps differ by more than the champion's gate allows.
SMALL: Mapping[str, Mapping[str, Any]] = {
    **flows.SMALL,
    "judging": {**flows.SMALL["judging"], "champion": False},
}
"""Hyperparameters with which a delivery of a subset takes seconds and passes its gates."""


@dataclass
class Installation:
    """Slipway in a namespace of the cluster, for one of the models that are delivered there."""

    namespace: str
    model: str = "mnist"
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

    def deployment(self, flow: str) -> dict[str, Any]:
        """Give the model's deployment of a flow: FLOW/kubernetes for mnist, FLOW/NAME for another one."""
        name = "kubernetes" if self.model == "mnist" else self.model
        return dict(self.prefect("GET", f"/deployments/name/{flow}/{name}"))

    def start(self, flow: str, parameters: Mapping[str, Any], **job_variables: Any) -> Run:
        """Start a run of the model's deployment of a flow."""
        deployment = self.deployment(flow)["id"]
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

    def production(self, path: str = "", **more: Any) -> httpx.Response:
        """Ask production; without a path, for the model."""
        method = "POST" if more else "GET"
        path = path or f"/v1/models/{self.model}"
        return self.forward(f"{self.model}-production", 8501).ask(method, path, **more)

    def served_version(self) -> int:
        """Give the version that production answers with, asked with an image."""
        forward = self.forward(f"{self.model}-production", 8501)
        forward.close()  # it is bound to one pod
        answer = self.production(f"/v1/models/{self.model}:predict", json={"instances": [[[0.0] * 28] * 28]})
        assert answer.status_code == 200, answer.text
        return int(answer.headers["x-model-version"])

    def production_pods(self) -> set[str]:
        """The UIDs of production's pods that have not ended."""
        pods = self.items("pods", "-l", f"slipway/model={self.model},slipway/channel=production")
        return {pod["metadata"]["uid"] for pod in pods if is_live(pod)}

    def pod(
        self, image: str, *command: str, script: str = "", volume: str = "", name: str = ""
    ) -> subprocess.Popen[str]:
        """Start a pod of an image (flow, serve, or its name) whose command reads a script.

        It goes when it ends.
        """
        deployment = {"flow": "prefect-worker", "serve": "mnist-production"}.get(image, "")
        where = "jsonpath={.spec.template.spec.containers[0].image}"
        taken = self.kubectl("get", "deployment", deployment, "-o", where) if deployment else image
        container: dict[str, Any] = {
            "name": "pod",
            "image": taken,
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
        pod = name or f"test-{secrets.token_hex(3)}"
        options = ["--restart=Never", "--rm", "--stdin", "--quiet", "--overrides", json.dumps({"spec": spec})]
        process = subprocess.Popen(
            ["kubectl", "-n", self.namespace, "run", pod, "--image", taken, *options],
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
