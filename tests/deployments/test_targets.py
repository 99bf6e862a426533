"""deployments/targets.mk where nothing was made yet, without a cluster."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.store.token import read_token

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the Makefile and the deployments alone, as in a new clone."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(
        ROOT / "deployments",
        tmp_path / "deployments",
        ignore=shutil.ignore_patterns("auth.env", "postgres.env"),
    )
    return tmp_path


def make(folder: Path, *arguments: str) -> None:
    """Run make, which has to succeed."""
    # These tests may themselves be run by make, whose options are not meant for another one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_overlay_gets_namespace_images_and_components(copy):
    """What the call says becomes a kustomization; its paths lead to folders that are there."""
    target = "build/kubernetes/kustomization.yaml"
    words = [
        "NAMESPACE=mine",
        "PUSH=registry.example/slipway",
        "TAG=7",
        "COMPONENTS=postgres existing-namespace",
    ]
    make(copy, target, *words)
    made = yaml.safe_load((copy / target).read_text())
    assert made["namespace"] == "mine"
    assert made["images"] == [
        {"name": f"slipway/{name}", "newName": f"registry.example/slipway/{name}", "newTag": "7"}
        for name in ("flow", "serve")
    ]
    folders = [(copy / target).parent / path for path in made["resources"] + made["components"]]
    assert [folder.resolve().name for folder in folders] == ["minikube", "postgres", "existing-namespace"]
    assert all((folder / "kustomization.yaml").is_file() for folder in folders)
    make(copy, target)
    assert yaml.safe_load((copy / target).read_text())["components"] == []


def test_another_clone_keeps_the_passwords_of_the_cluster(copy):
    """A cluster that has one Secret gives it; what it does not have stays as it was made here."""
    kubectl = copy / "kubectl"
    kubectl.write_text('#!/bin/sh\n[ "$5" = prefect-auth ] && [ "$2" = mine ] && echo slipway:theirs\n')
    kubectl.chmod(0o755)
    overlays = copy / "deployments" / "kubernetes" / "overlays"
    for _ in range(2):
        make(copy, "passwords", "NAMESPACE=mine", f"KUBECTL={kubectl}")
        for overlay in ("minikube", "multi-node"):
            assert (overlays / overlay / "auth.env").read_text() == "auth-string=slipway:theirs\n"
        assert "theirs" not in (overlays / "multi-node" / "postgres.env").read_text()
    assert stat.S_IMODE((overlays / "minikube" / "auth.env").stat().st_mode) == 0o600


@pytest.mark.parametrize("present", ["", "theirs"])
def test_a_token_is_made_once_where_its_component_is_applied(copy, present):
    """The Secret of the cluster stays; without the component none is made."""
    kubectl = copy / "kubectl"
    said = copy / "said"
    kubectl.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *"get secret serving-token"*) printf %s "{present}";; *"get secret"*) exit 1;; esac\n'
        f'echo "$*" >> {said}\n'
        f'case "$*" in *"create secret"*) cat > {copy}/token;; esac\n'
    )
    kubectl.chmod(0o755)
    make(copy, "manifests", f"KUBECTL={kubectl}")
    assert "serving-token" not in said.read_text()
    make(copy, "manifests", f"KUBECTL={kubectl}", "COMPONENTS=token", "NAMESPACE=mine")
    created = "-n mine create secret generic serving-token --from-file=token=/dev/stdin"
    assert said.read_text().count(created) == (0 if present else 1)
    if not present:
        assert len(read_token(copy / "token")) == 32


def pod_annotations(folder: Path) -> dict[str, dict[str, str]]:
    """Give the annotations that the overlay puts on pods, by the Deployments' names."""
    make(folder, "build/kubernetes/kustomization.yaml")
    patches = yaml.safe_load((folder / "build/kubernetes/kustomization.yaml").read_text())["patches"]
    return {
        one["target"]["name"]: yaml.safe_load(one["patch"])["spec"]["template"]["metadata"]["annotations"]
        for one in patches
    }


def test_another_password_starts_prefect_anew_and_no_channel(copy):
    """The server and the worker read it when they start."""
    make(copy, "passwords", "KUBECTL=false")
    before = pod_annotations(copy)
    kubectl = copy / "kubectl"  # of a cluster that has got the password from here
    kubectl.write_text(
        "#!/bin/sh\n[ $5 = prefect-auth ] && cut -d= -f2 deployments/kubernetes/overlays/minikube/auth.env\n"
    )
    kubectl.chmod(0o755)
    make(copy, "passwords", f"KUBECTL={kubectl}")
    assert before == pod_annotations(copy)
    (copy / "deployments/kubernetes/overlays/minikube/auth.env").write_text("auth-string=another\n")
    after = pod_annotations(copy)
    assert before["prefect-(server|worker)"] != after["prefect-(server|worker)"]
    assert before["mnist-(stage|production)"] == after["mnist-(stage|production)"]


def test_passwords_are_made_once_and_read_by_nobody_else(copy):
    """One of the API and one of the database, of letters and digits; they stay."""
    overlays = Path("deployments/kubernetes/overlays")
    names = ["minikube/auth.env", "multi-node/auth.env", "multi-node/postgres.env"]
    make(copy, *(str(overlays / name) for name in names))
    written = [(copy / overlays / name).read_text() for name in names]
    passwords = [text.strip().rpartition("=")[2].rpartition(":")[2] for text in written]
    assert len(set(passwords[:2])) == 1
    assert passwords[0] != passwords[2]
    assert all(len(password) == 32 and password.isalnum() for password in passwords)
    assert {stat.S_IMODE((copy / overlays / name).stat().st_mode) for name in names} == {0o600}
    make(copy, *(str(overlays / name) for name in names))
    assert [(copy / overlays / name).read_text() for name in names] == written


def test_another_model_is_beside_the_overlay_s(copy):
    """NAME gives it its names and labels, and the overlay's own model is left out of what is applied."""
    target = "build/kubernetes/kustomization.yaml"
    make(copy, target, "NAME=pictures")
    made = yaml.safe_load((copy / target).read_text())
    assert [Path(path).name for path in made["resources"]] == ["minikube", "model"]
    assert made["patches"][1]["target"]["name"] == "pictures-(stage|production)"
    assert made["patches"][2]["target"] == {"labelSelector": "slipway/model=mnist"}
    model = yaml.safe_load((copy / "build/kubernetes/model/kustomization.yaml").read_text())
    assert model["namePrefix"] == "pictures-"
    assert [one["pairs"] for one in model["labels"]] == [
        {"slipway/model": "pictures"},
        {"app.kubernetes.io/name": "model-server-pictures"},
    ]
    (base,) = model["resources"]
    assert (copy / "build/kubernetes/model" / base / "kustomization.yaml").is_file()


@pytest.fixture
def said(copy):
    """The commands of a cluster that takes everything, and of the images, as they were called."""
    file = copy / "said"
    for name in ("kubectl", "docker", "load"):
        command = copy / name
        command.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {file}\n'
            'case "$*" in run*) echo pictures;; *image}*) echo some/flow:1;; *"get secret"*) exit 1;; esac\n'
        )
        command.chmod(0o755)
    return file


def commands(copy: Path, said: Path, *arguments: str) -> list[str]:
    """Run make; give the commands."""
    said.write_text("")
    make(copy, *arguments, f"PATH={copy}:{os.environ['PATH']}", f"LOAD={copy}/load")
    return said.read_text().splitlines()


def test_a_module_is_enough_to_deliver_its_model(copy, said):
    """Its name, asked of the image once, is in images, manifests, deployments and the delivery."""
    (copy / "my_model.py").touch()
    called = commands(copy, said, "deliver-kubernetes", "MODEL=my_model.py")
    assert any(
        line.startswith("docker tag ") and line.endswith("slipway/flow-pictures:dev") for line in called
    )
    assert "load slipway/flow-pictures:dev slipway/flow:dev slipway/serve:dev" in called
    (registering,) = [line for line in called if "kubectl -n slipway run register-" in line]
    assert "--image slipway/flow-pictures:dev --labels slipway/asks-prefect=true" in registering
    assert called[-1].endswith("-- prefect deployment run deliver/pictures --watch")
    assert yaml.safe_load((copy / "build/kubernetes/model/kustomization.yaml").read_text())["namePrefix"]
    # A later call knows the name, by the module or by itself.
    for given in ("MODEL=my_model.py", "NAME=pictures"):
        assert any(
            "--image slipway/flow-pictures:dev" in one for one in commands(copy, said, "deployments", given)
        )


def test_without_a_module_everything_is_mnist_s(copy, said):
    """By the image of the flows and in the worker's pod, also where the environment has a NAME, as in WSL."""
    assert commands(copy, said, "load") == ["load slipway/flow:dev slipway/serve:dev"]
    environ = {**os.environ, "NAME": "a-machine", "PATH": f"{copy}:{os.environ['PATH']}"}
    said.write_text("")
    done = subprocess.run(["make", "deployments"], cwd=copy, env=environ, capture_output=True, check=False)
    assert done.returncode == 0
    assert said.read_text().splitlines()[-1].endswith("-- slipway register --image some/flow:1")


def test_a_module_without_an_image_is_told(copy, said):
    """Its model's name is not known before."""
    done = subprocess.run(
        ["make", "deployments", "MODEL=my_model.py"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "the model of my_model.py has no image yet: make image MODEL=my_model.py" in done.stderr
