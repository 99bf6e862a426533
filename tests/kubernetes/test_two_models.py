"""Another model, of a module, delivered beside mnist in one namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.kubernetes.installation import ROOT

MODULE = "tests/kubernetes/small_model.py"

KEY = """
import os, pathlib
from settings.delivery import Parameters
from settings.model import Description
from settings.modules import find_model
from tasks.steps import network_key
from tasks.store.artifacts import Artifact
model = find_model((), environ=os.environ, folder=pathlib.Path.cwd(), default=None)
delivery = Parameters(model).delivery()
dataset = Artifact(kind="dataset", path="mnist/x", digest="sha256:" + 64 * "0")
(network,) = model.networks
rows = Description(shape=(28, 28), classes=tuple("0123456789"))
print(network_key(network, delivery.networks[network.name], dataset, rows, delivery.data).digest)
"""


@pytest.fixture(scope="module")
def small(install):
    """The namespace of mnist, with another model whose image, manifests and deployments were made for it."""
    made = replace(install, model="small")
    # As `make deliver-kubernetes MODEL=…` does it, on top of the image of the flows that is there.
    made.make("model-image", "load", "manifests", "deployments", MODEL=MODULE)
    return made


def test_each_model_is_delivered_and_taken_back_alone(delivered, small):
    """Both answer by their Services, and what happens to the one leaves versions and pods of the other."""
    mnist = (delivered.served_version(), delivered.production_pods())
    first = small.start("deliver", {}).done()
    assert {"train-dense", "export", "stage", "judge", "promote", "report"} <= first.ran
    before = small.served_version()
    assert small.production().json()["model_version_status"][0]["version"] == str(before)
    assert (delivered.served_version(), delivered.production_pods()) == mnist

    # Its trainings in pods of their own are those of its own deployment, whose image has the module.
    seed = int.from_bytes(os.urandom(3))
    run = small.start("deliver", {"dense": {"seed": seed}}, runner="kubernetes").done()
    assert "train-dense" in run.ran
    asked = {
        "deployments": {"id": {"any_": [small.deployment("train")["id"]]}},
        "sort": "START_TIME_DESC",
        "limit": 1,
    }
    (training,) = small.prefect("POST", "/flow_runs/filter", json=asked)
    assert (training["name"], training["parameters"]["settings"]["seed"]) == ("train-dense", seed)
    assert small.served_version() > before
    # Without the model's name: a rollback of its deployment is of this model in any case.
    small.start("rollback", {"serving": {"max_images": 9_999}, "why": "a test"}).done()
    assert small.served_version() == before
    assert (delivered.served_version(), delivered.production_pods()) == mnist
    status = small.worker("slipway", "status", "--name", "small")
    assert f"version {before} of small at http://small-production.{small.namespace}.svc:8501: well" in status
    pods = small.production_pods()
    delivered.make("manifests", "deployments")
    delivered.start("rollback", {"to": mnist[0]}).done()
    assert (small.served_version(), small.production_pods()) == (before, pods)
    assert (delivered.served_version(), delivered.production_pods()) == mnist


def test_each_deployment_has_the_parameters_of_its_model(install, small):
    """A stage for each network of the model, with its settings, and its own image."""
    stages = [
        set(one.deployment("deliver")["parameter_openapi_schema"]["properties"]) for one in (install, small)
    ]
    assert stages[0] - stages[1] == {"classifier", "concept"}
    assert stages[1] - stages[0] == {"dense"}
    deployment = small.deployment("deliver")
    schema = deployment["parameter_openapi_schema"]
    (name,) = [one for one in schema["definitions"] if one == "DenseSettings"]
    assert schema["definitions"][name]["properties"]["units"]["maximum"] == 256
    assert deployment["job_variables"]["image"] == "slipway/flow-small:dev"
    assert "image" not in install.deployment("deliver")["job_variables"]
    # A value out of bounds is refused before a run is made.
    body = {"parameters": {"dense": {"units": 1_000}}}
    with pytest.raises(AssertionError, match="1000 is greater than the maximum of 256"):
        small.prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", json=body)


def test_a_network_has_the_key_that_it_has_on_this_machine(small):
    """Whatever the module's path is: what was trained there is at hand here, where the store is the same."""
    environ = os.environ | {"MODEL": str(ROOT / MODULE)}
    here = subprocess.run(
        [sys.executable, "-c", KEY], env=environ, capture_output=True, text=True, check=True
    )
    process = small.pod("slipway/flow-small:dev", "python", "-", script=KEY)
    there = process.communicate(timeout=120)[0]
    assert here.stdout.strip() in there.splitlines()
