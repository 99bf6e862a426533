"""docker/compose.yaml as it is written, held against the code that its containers run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.commands.register import POOLS
from settings.places import read_places
from tasks.channels.external import ExternalBackend
from tasks.serving.__main__ import parser
from tasks.workplace import open_workplace
from tests.flows.conftest import ROOT


def services(**variables: str) -> dict[str, Any]:
    """Give the services as compose reads them where these variables are set."""

    def filled(found: re.Match[str]) -> str:
        return variables.get(found[1], found[2])

    text = (ROOT / "docker" / "compose.yaml").read_text()
    for _ in range(2):  # a default may hold another variable
        text = re.sub(r"\$\{(\w+):-([^${}]*)\}", filled, text)
    return dict(yaml.safe_load(text)["services"])


SERVICES = services()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name):
    """No service is root, writes to its own files, gains rights, or is reached from another machine."""
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service


@pytest.mark.parametrize("name", ["mnist", "pictures"])
def test_the_servers_obey_the_documents_that_the_worker_writes(name):
    """Documents, folders, ports and names of the two servers are those of the worker's backend."""
    composed = services(MODEL_NAME=name)
    place = open_workplace(read_places(composed["worker"]["environment"], Path("/")), name)
    backend = place.backend
    assert isinstance(backend, ExternalBackend)
    for channel, url in backend.urls.items():
        options = parser().parse_args(composed[channel]["command"])
        assert url == f"http://{channel}:{options.port}"
        assert options.host == "0.0.0.0"
        assert options.document == backend.folder / f"{channel}.json"
        assert options.name == composed["worker"]["environment"]["MODEL_NAME"] == name
        assert options.releases == place.registry.releases
        assert options.candidates == (place.registry.candidates if channel == "stage" else None)


def test_another_model_s_runs_have_its_image():
    """The worker, which registers and runs; the Prefect server and the model servers need no module."""
    plain, other = services(TAG="7"), services(TAG="7", FLOW_IMAGE="slipway/flow-pictures:7")
    assert plain["worker"]["image"] == plain["server"]["image"] == "slipway/flow:7"
    changed = {name for name in plain if plain[name]["image"] != other[name]["image"]}
    assert (changed, other["worker"]["image"]) == ({"worker"}, "slipway/flow-pictures:7")
    assert other["worker"]["environment"]["SLIPWAY_IMAGE"] == "slipway/flow-pictures:7"


def test_a_token_is_that_of_the_servers_and_of_the_worker():
    """With compose.token.yaml both servers ask for what is in the file that the worker reads."""
    described = yaml.safe_load((ROOT / "docker" / "compose.token.yaml").read_text())
    services, (secret,) = described["services"], described["secrets"]
    assert set(services) == {"worker", "stage", "production"}
    assert described["secrets"][secret]["file"].startswith("${SERVING_TOKEN_FILE:?")
    places = read_places(SERVICES["worker"]["environment"] | services["worker"]["environment"], Path("/"))
    assert places.serving_token_file == Path("/run/secrets") / secret
    for name in services:
        assert services[name]["secrets"] == [secret]
    (entrypoint,) = re.findall(r"ENTRYPOINT (\[.*\])", (ROOT / "docker" / "Dockerfile").read_text())
    words = json.loads(entrypoint)
    for channel in ("stage", "production"):
        assert services[channel]["entrypoint"][: len(words)] == words
        options = [*services[channel]["entrypoint"][len(words) :], *SERVICES[channel]["command"]]
        assert parser().parse_args(options).token_file == places.serving_token_file


def test_every_deployment_has_a_pool_that_is_registered():
    """Each deployment of prefect.yaml is registered with its work pool, and each pool has some."""
    described = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    assert {(one["work_pool"]["name"], one["name"]) for one in described} == set(POOLS.items())
    flows = {
        name: sorted(one["entrypoint"] for one in described if one["name"] == name) for name in POOLS.values()
    }
    assert flows["compose"] == ["flows.deliver.deliver", "flows.rollback.rollback"]
