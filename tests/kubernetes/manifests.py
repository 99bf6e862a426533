"""What the manifests say: built by kustomize, for the tests beside this file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deployments" / "kubernetes"
TEMPLATE = json.loads((ROOT / "deployments" / "job-template.json").read_text())

NAMESPACE = (
    f"{os.environ.get('NAMESPACE', 'slipway-test')}-manifests"  # of what is asked of the API server alone
)
Object = dict[str, Any]

OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)


def done(*command: str, stdin: str = "") -> str:
    """Run a command that has to succeed; give what it prints, warnings too."""
    ended = run(*command, stdin=stdin)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr or ended.stdout}"
    return ended.stdout + ended.stderr


@cache
def build(case: str, namespace: str, *components: str) -> tuple[Object, ...]:
    """Give the objects of an overlay, or of base and mnist with one component, in a namespace.

    A component gets the Secrets that the overlay which combines it has to make.
    """
    kind, _, name = case.partition("/")
    secrets = [{"name": "prefect-auth", "literals": ["auth-string=slipway:a-test"]}]
    if kind == "overlays":
        done("make", *(f"deployments/kubernetes/overlays/{path}" for path in secret_files(name)))
        described: Object = {"resources": [case], "components": list(components)}
    else:
        secrets += [{"name": "postgres", "literals": ["password=atest"]}] if name == "postgres" else []
        components = (case, *components)
        described = {"resources": ["base", "mnist"], "components": components, "secretGenerator": secrets}
    folder = ROOT / "build" / "test-manifests" / f"{name}-{namespace}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for field in ("resources", "components"):
        described[field] = [f"../../../deployments/kubernetes/{path}" for path in described[field]]
    described |= {"namespace": namespace, "generatorOptions": {"disableNameSuffixHash": True}}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(described))
    ended = run("kubectl", "kustomize", str(folder))
    assert ended.returncode == 0, ended.stderr
    return tuple(yaml.safe_load_all(ended.stdout))


@cache
def made(name: str, **variables: str) -> tuple[Object, ...]:
    """Give the objects that `make manifests NAME=name` applies."""
    given = {"NAME": name, "NAMESPACE": NAMESPACE, "KUBECTL": "false"} | variables
    words = [f"{variable}={value}" for variable, value in given.items()]
    done("make", *(f"deployments/kubernetes/overlays/{path}" for path in secret_files("minikube")))
    done("make", "build/kubernetes/kustomization.yaml", *words)
    ended = run("kubectl", "kustomize", "build/kubernetes")
    assert ended.returncode == 0, ended.stderr
    return tuple(yaml.safe_load_all(ended.stdout))


def secret_files(overlay: str) -> list[str]:
    """The files of an overlay's Secrets, which make writes."""
    described = yaml.safe_load((MANIFESTS / "overlays" / overlay / "kustomization.yaml").read_text())
    return [f"{overlay}/{file}" for one in described["secretGenerator"] for file in one["envs"]]


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """Give the objects of these kinds."""
    return [one for one in objects if one["kind"] in kinds]


def workloads(objects: Sequence[Object]) -> dict[str, Object]:
    """The pods of Deployments and StatefulSets, each by the name of its owner."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in of_kind(objects, "Deployment", "StatefulSet")
    }


def flow_job(**given: str) -> Object:
    """Give the Job of a flow run: the template with the defaults of its variables, or with given values."""
    values = {name: one.get("default") for name, one in TEMPLATE["variables"]["properties"].items()}
    values |= {"name": "a-run", "command": ["true"], **given}

    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: filled(value) for name, value in part.items()}
        if isinstance(part, list):
            return [filled(value) for value in part]
        if isinstance(part, str) and part.startswith("{{") and part.endswith("}}"):
            return values[part.strip("{} ")]
        return part.replace("{{ name }}", values["name"]) if isinstance(part, str) else part

    manifest: Object = filled(TEMPLATE["job_configuration"]["job_manifest"])
    for misplaced in ("completions", "parallelism"):  # Prefect wants them there, and Kubernetes ignores them
        del manifest["spec"]["template"]["spec"][misplaced]
    return manifest


def dumped(objects: Sequence[Object]) -> str:
    """Give objects as kubectl reads them."""
    return yaml.safe_dump_all(objects)


def rights(role: Object) -> set[tuple[str, str]]:
    """Give the rights of a Role one by one, as (verb, resource.group/name)."""
    return {
        (verb, resource + (f".{group}" if group else "") + (f"/{name}" if name else ""))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


UNITS = {"": Decimal(1), "m": Decimal("0.001")} | {
    name: Decimal(2**power) for name, power in (("Ki", 10), ("Mi", 20), ("Gi", 30))
}


def quantity(text: str) -> Decimal:
    """Give a quantity of Kubernetes as a number: cores, bytes."""
    number = text.rstrip("miKMG")
    return Decimal(number) * UNITS[text.removeprefix(number)]
