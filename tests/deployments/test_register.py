"""What `slipway register` registers for a model: deployments of its own name, image and rights of way."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from flows.__main__ import main
from flows.commands.register import DEPLOYMENTS, described, module_variables
from settings.errors import WrongInput

FILE = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())["deployments"]
MODULE = """
from settings.model import Model, Network
from tasks.models.builtin import CLASSIFIER

model = Model("pictures", (CLASSIFIER,))
"""


def by_flow(deployments: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The deployments by the names of their flows."""
    return {one["entrypoint"].rpartition(".")[2]: one for one in deployments}


@pytest.mark.parametrize("pool", ["slipway", "compose"])
def test_mnist_s_deployments_are_those_of_the_file(pool):
    """Word by word."""
    assert described(pool, "mnist") == [one for one in FILE if one["work_pool"]["name"] == pool]


def test_another_model_s_deployments_have_its_name_and_its_image():
    """So that a delivery, and what it trains in pods of their own, have the module."""
    made = by_flow(described("slipway", "pictures", "some/flow-pictures:1"))
    assert {one["name"] for one in made.values()} == {"pictures"}
    variables = {flow: one["work_pool"].get("job_variables", {}) for flow, one in made.items()}
    assert variables["deliver"] == {
        "image": "some/flow-pictures:1",
        "train_deployment": f"train/{made['train']['name']}",
    }
    usual = by_flow([one for one in FILE if one["name"] == "kubernetes"])["train"]["work_pool"]
    assert variables["train"] == usual["job_variables"] | {"image": "some/flow-pictures:1"}


@pytest.mark.parametrize("pool", ["slipway", "compose"])
def test_the_way_back_needs_no_module_and_knows_the_model(pool):
    """Its image is the pool's, so that it works whatever became of the module."""
    back = by_flow(described(pool, "pictures", "some/flow-pictures:1"))["rollback"]
    assert back["parameters"] == {"serving": {"name": "pictures"}}
    variables = {"env": {"MODEL_NAME": "pictures"}} if pool == "slipway" else {}
    assert back["work_pool"].get("job_variables", {}) == variables


def test_a_module_may_define_mnist_anew():
    """Then its deployments replace those that there are, with its image."""
    made = by_flow(described("slipway", "mnist", "some/flow-mnist:1"))
    assert {one["name"] for one in made.values()} == {"kubernetes"}
    assert made["deliver"]["work_pool"]["job_variables"] == {"image": "some/flow-mnist:1"}
    assert "job_variables" not in made["rollback"]["work_pool"]


@pytest.mark.parametrize("name", ["kubernetes", "compose"])
def test_no_model_takes_mnist_s_names(name):
    """In a cluster; docker compose serves one model, and its deployments are called after the place."""
    with pytest.raises(WrongInput, match=f"no model in a cluster can be called {name}"):
        described("slipway", name)
    assert {one["name"] for one in described("compose", name)} == {"compose"}


def test_the_name_of_a_module_s_model_is_told(tmp_path, monkeypatch, capsys):
    """Without a server; a model that is served under another name is refused."""
    (tmp_path / "my_pictures.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MODEL", "my_pictures.py")
    assert main(["register", "--print-name"]) == 0
    assert capsys.readouterr().out == "pictures\n"
    assert module_variables() == {"MODEL": str(tmp_path / "my_pictures.py")}
    monkeypatch.setenv("MODEL_NAME", "mnist")
    assert main(["register", "--pool", "compose"]) == 2
    line = "slipway: MODEL_NAME is mnist, and the model here is pictures: name the image of its module\n"
    assert capsys.readouterr().err == line
