"""deployments/job-template.json: what Prefect's worker makes of it, by the worker's own code."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.schemas import FlowRun
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from flows.commands.register import DEPLOYMENTS, job_template
from settings.places import VARIABLES

TEMPLATE = json.loads((DEPLOYMENTS / "job-template.json").read_text())
VALUES: dict[str, Any] = {
    "image": "registry.example/flow:7",
    "image_pull_policy": "Never",
    "image_pull_secrets": [{"name": "login"}],
    "namespace": "elsewhere",
    "service_account_name": "somebody",
    "cpu_request": "125m",
    "cpu_limit": "1500m",
    "memory_request": "600Mi",
    "memory_limit": "700Mi",
    "data_claim": "some-data",
    "models_claim": "some-models",
    "runner": "kubernetes",
    "train_deployment": "train/another",
    "rollout_seconds": "17",
    "finished_job_ttl": 11,
    "backoff_limit": 12,
    "grace_seconds": 13,
    "node_selector": {"disk": "fast"},
    "name": "a-name",
    "env": {"A_VARIABLE": "a value"},
    "labels": {"a-label": "a-value"},
    "command": "python -m something",
}
"""For each variable of the template a value that is no other's, and not the default."""

PLACES: dict[str, list[str]] = {
    "image": ["pod.containers.0.image", "env.SLIPWAY_IMAGE"],
    "image_pull_policy": ["pod.containers.0.imagePullPolicy"],
    "image_pull_secrets": ["pod.imagePullSecrets"],
    "namespace": ["metadata.namespace"],
    "service_account_name": ["pod.serviceAccountName"],
    "cpu_request": ["pod.containers.0.resources.requests.cpu"],
    "cpu_limit": ["pod.containers.0.resources.limits.cpu"],
    "memory_request": ["pod.containers.0.resources.requests.memory"],
    "memory_limit": ["pod.containers.0.resources.limits.memory"],
    "data_claim": ["pod.volumes.0.persistentVolumeClaim.claimName"],
    "models_claim": ["pod.volumes.1.persistentVolumeClaim.claimName"],
    "runner": ["env.RUNNER"],
    "train_deployment": ["env.TRAIN_DEPLOYMENT"],
    "rollout_seconds": ["env.ROLLOUT_SECONDS"],
    "finished_job_ttl": ["spec.ttlSecondsAfterFinished"],
    "backoff_limit": ["spec.backoffLimit"],
    "grace_seconds": ["pod.terminationGracePeriodSeconds"],
    "node_selector": ["pod.nodeSelector"],
}
"""Where in the Job the value stands, whole; the four others are looked at one by one."""


def job(values: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give the Job that the worker makes for a flow run, with its pod and environment in reach."""
    template = copy.deepcopy(TEMPLATE)
    configuration = asyncio.run(
        KubernetesWorkerJobConfiguration.from_template_and_values(template, values, client=object())
    )
    configuration.prepare_for_flow_run(
        FlowRun(flow_id=uuid4(), name="a-run", parameters=parameters or {}), worker_name="worker"
    )
    manifest: dict[str, Any] = configuration.job_manifest
    pod = manifest["spec"]["template"]["spec"]
    env = pod["containers"][0]["env"]
    names = [one["name"] for one in env]
    assert len(names) == len(set(names)), "no variable is set twice"
    return manifest | {
        "pod": pod,
        "env": {one["name"]: one.get("value", one.get("valueFrom")) for one in env},
    }


def at(manifest: Any, path: str) -> Any:
    """Give what stands at a path of names and numbers."""
    for step in path.split("."):
        manifest = manifest[int(step) if step.isdigit() else step]
    return manifest


def test_every_variable_is_used_and_every_use_has_a_variable():
    """Prefect passes over both in silence: a form's field without effect, a place that stays empty."""
    used = re.findall(r"\{\{ *([\w.]+) *\}\}", json.dumps(TEMPLATE["job_configuration"]))
    assert set(used) == set(TEMPLATE["variables"]["properties"])


def test_every_variable_is_tried_below():
    """A new variable has a value here, and a place where it has to arrive."""
    assert set(VALUES) == set(TEMPLATE["variables"]["properties"])
    assert set(VALUES) - set(PLACES) == {"name", "env", "labels", "command"}
    for name, variable in TEMPLATE["variables"]["properties"].items():
        assert variable.get("default") != VALUES[name]
        assert variable["title"]


@pytest.mark.parametrize("name", PLACES)
def test_a_value_reaches_the_job(name):
    """Alone and with all others it stands in its place, whole and of its type; else the default does."""
    default = TEMPLATE["variables"]["properties"][name]["default"]
    for path in PLACES[name]:
        assert at(job({name: VALUES[name]}), path) == VALUES[name]
        assert at(job(VALUES), path) == VALUES[name]
        assert at(job({}), path) == default
        assert type(at(job({}), path)) is type(default)


def test_name_labels_and_environment_reach_the_job():
    """Labels the Job and its pod, beside those that Prefect and the NetworkPolicies need."""
    made = job(VALUES)
    assert made["metadata"]["generateName"] == "a-name-"
    assert made["env"]["A_VARIABLE"] == "a value"
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels["a-label"] == "a-value"
        assert "prefect.io/flow-run-id" in labels
    pod = made["spec"]["template"]["metadata"]["labels"]
    assert pod["slipway/asks-prefect"] == pod["slipway/asks-models"] == "true"


def test_the_command_is_the_flow_run_where_none_is_given():
    """And a given one is run word by word."""
    assert job({})["pod"]["containers"][0]["args"][0] == "prefect"
    assert job(VALUES)["pod"]["containers"][0]["args"] == ["python", "-m", "something"]


def test_a_run_without_a_name_has_the_name_of_the_flow_run():
    """As the template's variable says."""
    assert job({})["metadata"]["generateName"] == "a-run-"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"data": {"limit": 10}, "classifier": {"steps": 5}, "concept": {"steps": 5}, "judging": {}},
        {"data_root": "/elsewhere", "MODELS_ROOT": "/elsewhere", "backend": "local", "runner": "kubernetes"},
    ],
    ids=["none", "stages", "places"],
)
def test_places_are_the_environment_of_the_pod(parameters):
    """Whatever the parameters of a run say."""
    made = job({"namespace": "elsewhere"}, parameters)
    env = made["env"]
    assert (env["DATA_ROOT"], env["MODELS_ROOT"]) == ("/data", "/models")
    assert (env["BACKEND"], env["RUNNER"]) == ("kubernetes", "local")
    assert env["NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    known = {"DATA_ROOT", "MODELS_ROOT", "BACKEND", "RUNNER", "NAMESPACE", "ROLLOUT_SECONDS"}
    known |= {"SERVING_TOKEN_FILE"}
    assert known == VARIABLES.keys() & env.keys()
    mounts = {mount["mountPath"]: mount for mount in made["pod"]["containers"][0]["volumeMounts"]}
    for root in (env["DATA_ROOT"], env["MODELS_ROOT"]):
        assert mounts[root]["name"] == root.removeprefix("/")
        assert not mounts[root].get("readOnly")


def test_the_token_is_there_where_the_cluster_has_one():
    """The pod starts without one too: then it is told of no file."""
    made = job({})
    key = {"name": "serving-token", "key": "file", "optional": True}
    assert made["env"]["SERVING_TOKEN_FILE"] == {"configMapKeyRef": key}
    (mount,) = [one for one in made["pod"]["containers"][0]["volumeMounts"] if one["name"] == "token"]
    (volume,) = [one for one in made["pod"]["volumes"] if one["name"] == "token"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/token", True)
    assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("serving-token", True)


def test_a_deployment_s_own_variable_leaves_the_places():
    """`env` is merged name by name."""
    env = job({"env": {"A_VARIABLE": "1"}})["env"]
    assert env["A_VARIABLE"] == "1"
    assert env["DATA_ROOT"] == "/data"


@pytest.mark.parametrize("values", [{}, VALUES], ids=["defaults", "values"])
def test_the_pod_is_confined(values):
    """It keeps what a namespace with restricted Pod Security asks for, and a root that is read-only."""
    pod = job(values)["pod"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is True, "a delivery asks Kubernetes to roll out"
    assert pod["restartPolicy"] == "Never"
    assert job(values)["env"]["HOME"] == "/tmp"
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_registering_sets_image_and_namespace_alone():
    """The rest of the pool's template is the file's."""
    registered = job_template("some/image:1", "some-namespace")
    properties = registered["variables"]["properties"]
    assert properties["image"].pop("default") == "some/image:1"
    assert properties["namespace"].pop("default") == "some-namespace"
    expected = copy.deepcopy(TEMPLATE)
    for name in ("image", "namespace"):
        del expected["variables"]["properties"][name]["default"]
    assert registered == expected


def test_the_deployments_set_variables_that_there_are():
    """Prefect takes an unknown name without a word."""
    described = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())["deployments"]
    given = [one["work_pool"].get("job_variables", {}) for one in described]
    assert any(given)
    for variables in given:
        assert set(variables) <= set(TEMPLATE["variables"]["properties"])
