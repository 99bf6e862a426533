"""The delivery on a real cluster: the one that kubectl speaks to, in a namespace of its own.

`make test-kubernetes` builds the images, brings them into the cluster and runs this. Everything is done as a
user does it: by the Makefile's targets and by kubectl.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes import manifests
from tests.kubernetes.asking import kubectl
from tests.kubernetes.installation import ROOT, Installation

NAMESPACE = os.environ.get("NAMESPACE", "slipway-test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kubernetes)
            item.add_marker(pytest.mark.timeout(600))


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


@pytest.fixture(scope="session")
def namespace(cluster: None) -> Iterator[str]:
    """A namespace with the labels and the accounts of the manifests, and nothing else."""
    kubectl("delete", "namespace", manifests.NAMESPACE, "--ignore-not-found", "--timeout=120s")
    present = manifests.of_kind(
        manifests.build("overlays/minikube", manifests.NAMESPACE),
        "Namespace",
        "ServiceAccount",
        "Role",
        "RoleBinding",
    )
    kubectl("apply", "-f", "-", stdin=manifests.dumped(present))
    yield manifests.NAMESPACE
    kubectl("delete", "namespace", manifests.NAMESPACE, "--wait=false")
