"""A deployer who is no administrator, with the rights of deployer.yaml in a namespace that is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import yaml

from tests.kubernetes.installation import SMALL, Installation
from tests.kubernetes.manifests import MANIFESTS, OVERLAYS, build, done, dumped, of_kind, run

NAMESPACE = f"{os.environ.get('NAMESPACE', 'slipway-test')}-given"


@pytest.fixture(scope="module")
def given(cluster: None) -> Iterator[str]:
    """A namespace that an administrator made, with a deployer who has the rights of deployer.yaml."""
    done("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    done("kubectl", "create", "namespace", NAMESPACE)
    done("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    done("kubectl", "-n", NAMESPACE, "apply", "-f", str(MANIFESTS / "deployer.yaml"))
    binding = ["create", "rolebinding", "deployer", "--role", "deployer", "--user", "deployer"]
    done("kubectl", "-n", NAMESPACE, *binding)
    yield NAMESPACE
    done("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_deployer_brings_everything_up(given, overlay):
    """With the rights of deployer.yaml alone, in a namespace that is there, and a second time too."""
    objects = build(f"overlays/{overlay}", given, "components/existing-namespace")
    assert of_kind(objects, "Namespace") == []
    apply = ("kubectl", "--as=deployer", "apply", "-f", "-")
    # What takes no volume and runs no pod is there for good: a binding needs its Role.
    light = [
        one for one in objects if one["kind"] not in ("PersistentVolumeClaim", "Deployment", "StatefulSet")
    ]
    done(*apply, stdin=dumped(light))
    for _ in range(2):
        said = done(*apply, "--dry-run=server", stdin=dumped(objects))
        assert said.count("(server dry run)") == len(objects)


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("create", "pods/exec", True),  # make deployments, prefect deployment run
        ("create", "pods/portforward", True),
        ("create", "pods/attach", True),  # make seed
        ("watch", "deployments.apps", True),  # kubectl wait
        ("patch", "deployments.apps/scale", True),
        ("delete", "deployments.apps", False),
        ("delete", "persistentvolumeclaims", False),
        ("delete", "secrets", False),
        ("escalate", "roles.rbac.authorization.k8s.io", False),
        ("bind", "roles.rbac.authorization.k8s.io", False),
        ("patch", "namespaces", False),
        ("*", "*", False),
    ],
)
def test_a_deployer_s_further_rights(given, verb, what, allowed):
    """For the other commands of the walk-through; none to remove what others made, or to take more rights."""
    kind, _, below = what.partition("/")
    options = [f"--subresource={below}"] if below else []
    command = ["kubectl", "--as=deployer", "-n", given, "auth", "can-i", verb, kind, *options]
    assert run(*command).stdout.strip() == ("yes" if allowed else "no")


def test_a_deployer_is_no_administrator(given):
    """He can neither change his namespace nor reach another one."""
    (space,) = of_kind(build("overlays/minikube", given), "Namespace")
    for answer in (
        run("kubectl", "--as=deployer", "apply", "-f", "-", stdin=dumped([space])),
        run("kubectl", "--as=deployer", "get", "pods", "--all-namespaces"),
        run("kubectl", "--as=deployer", "-n", "default", "get", "secrets"),
    ):
        assert answer.returncode == 1
        assert "(Forbidden)" in answer.stderr


def test_a_deployer_delivers(given, published, tmp_path, monkeypatch):
    """The commands of the walk-through, from the namespace without a pod to an answer of production."""
    config = yaml.safe_load(done("kubectl", "config", "view", "--raw", "--minify", "--flatten"))
    for user in config["users"]:
        user["user"]["as"] = "deployer"
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert "deployer" in done("kubectl", "auth", "whoami")
    install = Installation(given)
    try:
        install.make("manifests", "deployments", COMPONENTS="existing-namespace")
        install.make("seed", DATA=str(published))
        chosen = [
            option for stage, given in SMALL.items() for option in ("-p", f"{stage}={json.dumps(given)}")
        ]
        install.worker("prefect", "deployment", "run", "deliver/kubernetes", "--watch", *chosen)
        assert install.served_version() == 1
        install.kubectl("scale", "deployment/mnist-production", "--replicas=2")
        install.kubectl("wait", "deployment/mnist-production", "--for=condition=Available", "--timeout=60s")
    finally:
        install.close()
