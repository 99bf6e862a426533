"""What of the Kubernetes backend needs no cluster; tests/kubernetes has the rest, on a real one."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Stopped, Surroundings
from tasks.channels.cluster import Cluster, Unsteady, own_image, reason_of
from tasks.channels.deployment import ANEW, DOCUMENT, Rollout, document_of
from tasks.channels.kubernetes import KubernetesBackend
from tasks.release.document import Wanted


def rollout(**status: int) -> Rollout:
    """Give a Deployment of two ready pods, seen by its controller."""
    document = document_of(Wanted(version=3))
    deployment = {
        "metadata": {"generation": 4},
        "spec": {"replicas": 2, "template": {"metadata": {"annotations": {DOCUMENT: document}}}},
        "status": {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2} | status,
    }
    pods = [
        {
            "metadata": {"name": f"p-{number}", "annotations": {DOCUMENT: document}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        for number in range(2)
    ]
    return Rollout(deployment, pods)


class Patched:
    """Stands in for a cluster: gives one Deployment with its pods, and keeps what is to be changed."""

    namespace = "ns"

    def __init__(self, found: Rollout) -> None:
        self.found = found
        self.patches: list[tuple[str, Any]] = []

    def connected(self) -> AbstractContextManager[None]:
        """Need no connection."""
        return nullcontext()

    def deployment(self, name: str) -> Any:
        """Give the Deployment."""
        return self.found.deployment

    def pods(self, labels: dict[str, str]) -> list[Any]:
        """Give its pods."""
        return self.found.pods

    def patch_deployment(self, name: str, changes: Any) -> None:
        """Keep the changes; the template has its new annotations from now on, and so have the pods."""
        self.patches.append((name, changes))
        if "template" in changes["spec"]:
            annotations = changes["spec"]["template"]["metadata"]["annotations"]
            self.found = copy.deepcopy(self.found)
            self.found.deployment["spec"]["template"]["metadata"]["annotations"] = annotations
            for pod in self.found.pods:
                pod["metadata"]["annotations"] = annotations

    def replica_set(self, name: str) -> Any:
        """Give that of the pods."""
        labels = {"app": "mnist", "pod-template-hash": "abc"}
        return {"spec": {"template": {"metadata": {"labels": labels}, "spec": {"image": f"that of {name}"}}}}

    def replace_template(self, name: str, template: Any, replicas: int) -> None:
        """Keep the template."""
        self.patches.append((name, (template, replicas)))


def test_a_rollout_is_complete_when_its_pods_alone_are_there():
    """All wanted pods are of the present template and ready, and no other is left."""
    assert rollout().is_complete
    assert rollout().wanted == Wanted(version=3)


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 3},  # the controller has not seen the patch
        {"updatedReplicas": 1},  # one pod is of the template before
        {"replicas": 3},  # an old one is still there
        {"readyReplicas": 1},
    ],
)
def test_a_rollout_is_not_complete_before(status):
    """Each count of the status matters."""
    assert not rollout(**status).is_complete


def test_a_pod_that_is_ending_still_answers():
    """The rollout is not complete as long as a request may reach it."""
    late = rollout()
    ending: dict[str, Any] = copy.deepcopy(late.pods[0])
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not Rollout(late.deployment, [*late.pods, ending]).is_complete


@pytest.mark.parametrize(("phase", "complete"), [("Failed", True), ("Succeeded", True), ("Pending", False)])
def test_a_pod_that_has_ended_is_in_nobody_s_way(phase, complete):
    """One that was evicted stays in the list until somebody removes it; one that comes is waited for."""
    found = rollout()
    left: dict[str, Any] = {"metadata": {"name": "left"}, "status": {"phase": phase}}
    assert Rollout(found.deployment, [*found.pods, left]).is_complete is complete


def test_what_is_missing_is_told():
    """Pods that come, as after `kubectl scale`, or manifests that were applied since."""
    found = rollout()
    found.deployment["spec"]["replicas"] = 3
    assert found.shortfall == "2 of its 3 pods are ready"
    found.deployment["spec"]["paused"] = True
    assert found.shortfall == "2 of its 3 pods are ready"
    found.deployment["status"]["updatedReplicas"] = 0
    assert found.shortfall.startswith("its Deployment has changed since")


def test_a_deployment_without_a_document_wants_nothing():
    """As before the first delivery."""
    empty = Rollout({"metadata": {"generation": 1}, "spec": {"template": {}}}, [])
    assert (empty.document, empty.wanted, empty.replicas) == ("", None, 1)


@pytest.mark.parametrize("paused", [True, False])
def test_what_a_killed_run_left_unpaused_is_paused(monkeypatch, paused):
    """Production serves what is wanted: nothing else is changed, and nothing at all where it is paused."""
    found = rollout()
    found.deployment["spec"]["paused"] = paused
    found.deployment["spec"]["selector"] = {"matchLabels": {}}
    health = {"version": 3, "runtime": "litert", "error": "", "digest": "d"}
    monkeypatch.setattr("tasks.channels.deployed.answer_of", lambda host, port: health)
    monkeypatch.setattr("tasks.channels.kubernetes.shortcoming", lambda health, wanted, homes: "")
    cluster = Patched(found)
    backend = KubernetesBackend(cluster, "mnist", Path("releases"), Path("candidates"), 1.0)
    backend.put("production", Wanted(version=3), should_stop=lambda: False)
    assert cluster.patches == ([] if paused else [("mnist-production", {"spec": {"paused": True}})])


def test_a_rollout_that_fails_puts_the_template_of_before_back():
    """The whole of it: a broken image that came with the rollout goes too."""
    found = rollout()
    found.deployment["spec"]["selector"] = {"matchLabels": {}}
    for pod in found.pods:
        pod["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "mnist-1"}]
    cluster = Patched(found)
    backend = KubernetesBackend(cluster, "mnist", Path("releases"), Path("candidates"), 1.0)
    with pytest.raises(Stopped):
        backend.put("production", Wanted(version=4), should_stop=lambda: True)
    (_, forward), (_, back) = cluster.patches
    assert forward["spec"]["template"]["metadata"]["annotations"][DOCUMENT] == document_of(Wanted(version=4))
    template = {"metadata": {"labels": {"app": "mnist"}}, "spec": {"image": "that of mnist-1"}}
    assert back == (template, 2)


def test_outside_of_a_cluster_it_names_the_command():
    """A user's shell with BACKEND=kubernetes is told what to run instead."""
    with pytest.raises(Surroundings, match="prefect deployment run deliver/kubernetes"):
        Cluster()


def test_the_api_is_asked_again_where_that_can_help(monkeypatch, tmp_path):
    """A server that is overloaded or starts anew is no failed rollout; a right that is missing is."""
    (tmp_path / "token").write_text("x")
    (tmp_path / "namespace").write_text("ns\n")
    monkeypatch.setattr("tasks.channels.cluster.ACCOUNT", tmp_path)
    cluster = Cluster()
    assert cluster.namespace == "ns"
    assert isinstance(cluster._refused("get it", 503, "apiserver not ready"), Unsteady)
    refused = cluster._refused("patch the Deployment m", 403, "no right")
    assert not isinstance(refused, Unsteady)
    assert str(refused).startswith("cannot patch the Deployment m: no right; ")
    assert "kubectl apply -k" in str(cluster._refused("get the Deployment m", 404, "not found"))


class Api(BaseHTTPRequestHandler):
    """Stands in for the Kubernetes API: answers each path with what it has for it, else with 503."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Note who connects."""
        super().setup()
        self.server.connections.append(self.client_address)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        """Answer."""
        found = self.server.found.get(self.path)  # type: ignore[attr-defined]
        body = json.dumps(found or {"message": "apiserver not ready"}).encode()
        self.send_response(200 if found else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *line: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An API server to which this process is led, as in a pod; `found` is what it has, by path."""
    from kubernetes_asyncio.client import Configuration

    (tmp_path / "token").write_text("x")
    (tmp_path / "namespace").write_text("ns")
    monkeypatch.setattr("tasks.channels.cluster.ACCOUNT", tmp_path)
    monkeypatch.setattr("tasks.channels.cluster.PATIENCE_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.found, server.connections = {}, []  # type: ignore[attr-defined]

        def load() -> None:
            Configuration.set_default(Configuration(host=f"http://127.0.0.1:{server.server_port}"))

        monkeypatch.setattr("kubernetes_asyncio.config.load_incluster_config", load)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    Configuration.set_default(None)


def test_the_calls_of_a_rollout_go_over_one_connection(api):
    """Within `connected` one is opened for however many calls, and closed at the end of the block."""
    path = "/apis/apps/v1/namespaces/ns/deployments/mnist-stage"
    api.found[path] = {"metadata": {"name": "mnist-stage"}}
    cluster = Cluster()
    with cluster.connected():
        found = [cluster.deployment("mnist-stage") for _ in range(5)]
    assert found == [api.found[path]] * 5
    assert len(api.connections) == 1
    assert cluster.deployment("mnist-stage") == api.found[path]
    assert len(api.connections) == 2


def test_an_api_that_is_not_ready_is_told_and_may_be_asked_again(api):
    """One refused call does not spoil the connection for the next."""
    cluster = Cluster()
    with cluster.connected():
        with pytest.raises(Unsteady, match="answers 503: apiserver not ready"):
            cluster.pod("p-1")
        api.found["/api/v1/namespaces/ns/pods/p-1"] = {"status": {}}
        assert cluster.pod("p-1") == {"status": {}}


@pytest.mark.parametrize("pod", [None, {"status": {}}, {"status": {"containerStatuses": []}}])
def test_an_image_that_the_cluster_does_not_tell_is_missing(api, caplog, pod):
    """What a release was made by is a fact of its manifest; that it cannot be had fails no delivery."""
    if pod is not None:
        api.found["/api/v1/namespaces/ns/pods/p-1"] = pod
    told = {"POD_NAME": "p-1", "NAMESPACE": "ns", "SLIPWAY_IMAGE": "slipway/flow:dev"}
    assert own_image(told) is None
    assert "the image of this pod is not known" in caplog.text


def test_the_image_that_the_cluster_tells_has_its_digest(api):
    """The node tells what it runs, whatever name it was asked for by."""
    statuses = [{"imageID": "slipway/flow@sha256:abc"}]
    api.found["/api/v1/namespaces/ns/pods/p-1"] = {"status": {"containerStatuses": statuses}}
    assert own_image({"POD_NAME": "p-1", "NAMESPACE": "ns"}) == "slipway/flow@sha256:abc"


def test_the_image_of_a_process_outside_of_a_pod_is_what_it_is_told():
    """Nobody is asked for a digest there."""
    assert own_image({}) is None
    assert own_image({"SLIPWAY_IMAGE": "slipway/flow:dev", "POD_NAME": "p-1"}) == "slipway/flow:dev"


def test_the_reason_in_an_answer_of_the_api():
    """Its message, where the body is what the API sends."""
    assert reason_of('{"kind": "Status", "message": "pods is forbidden"}') == "pods is forbidden"
    assert reason_of("<html>") == reason_of(None) == ""


@pytest.fixture
def fallen(monkeypatch) -> tuple[Patched, dict[str, Any]]:
    """Pods that are ready, since they serve the version before a damaged one; what they answer may change."""
    found = rollout()
    found.deployment["spec"]["selector"] = {"matchLabels": {}}
    for pod in found.pods:
        pod["status"]["podIP"] = "10.0.0.1"
    error = "version 3 cannot be served: it is damaged; version 2, the one before, is served in its place"
    health = {"version": 2, "runtime": "litert", "error": error, "settled": True, "digest": "d"}
    monkeypatch.setattr("tasks.channels.deployed.answer_of", lambda host, port: health)
    monkeypatch.setattr("tasks.channels.health.difference", lambda homes, version, digest: "")
    return Patched(found), health


def test_a_pod_that_fell_back_refuses_the_wanted_version(fallen):
    """The rollout fails with what its server says."""
    backend = KubernetesBackend(fallen[0], "mnist", Path("releases"), Path("candidates"), 1.0)
    with pytest.raises(Surroundings, match="production: version 3 cannot be served: it is damaged"):
        backend.put("production", Wanted(version=3), should_stop=lambda: False)


def test_a_release_that_was_restored_is_read_by_new_pods(fallen, monkeypatch):
    """The document is the same, and so would be the pods: they would say for ever what they found once."""
    cluster, health = fallen
    before, patch = cluster.found, cluster.patch_deployment

    def make_pods(name: str, changes: Any) -> None:
        patch(name, changes)
        old_and_new = Rollout(cluster.found.deployment, [*before.pods, *cluster.found.pods])
        assert old_and_new.of_the_present == cluster.found.pods
        health.update(version=3, error="")

    monkeypatch.setattr(cluster, "patch_deployment", make_pods)
    backend = KubernetesBackend(cluster, "mnist", Path("releases"), Path("candidates"), 1.0)
    backend.put("production", Wanted(version=3), should_stop=lambda: False)
    assert backend.document("production") == Wanted(version=3)
    assert cluster.found.deployment["spec"]["template"]["metadata"]["annotations"][ANEW]
