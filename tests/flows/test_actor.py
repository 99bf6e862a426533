"""Who does what a flow run does."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow

from tasks.actor import actor, started_by
from tasks.release.history import account


@flow(name="acting", persist_result=False)
def acting() -> str:
    return actor()


@pytest.fixture
def served(place, prefect_api):
    """Make a deployment's flow run, as the automation with these headers would, and run it here."""

    def run(headers: dict[str, str]) -> tuple[str, Any]:
        with get_client(sync_client=True) as client:
            deployment = client.create_deployment(client.create_flow(acting), name="kubernetes")
            made = httpx.post(
                f"{prefect_api}/deployments/{deployment}/create_flow_run", json={}, headers=headers
            )
            flow_run = client.read_flow_run(made.raise_for_status().json()["id"])
        return str(flow_run.id), run_flow(acting, flow_run=flow_run)

    return run


def test_a_run_of_a_command_is_its_user_s(place):
    """There is no deployment: the account tells."""
    assert acting() == account()


def test_a_run_of_a_deployment_is_named(served):
    """The flow run's id leads to it in Prefect's UI, whatever the account of its pod."""
    number, who = served({})
    assert who == f"flow run {number} of the deployment acting/kubernetes"


def test_a_run_that_an_automation_started_names_it(served):
    """Prefect's server knows who started a run."""
    name = b64encode(b"try again").decode()
    number, who = served({"Prefect-Automation-ID": str(uuid4()), "Prefect-Automation-Name": name})
    assert who == (
        f"flow run {number} of the deployment acting/kubernetes, started by the automation try again"
    )


def test_a_schedule_is_named_and_what_is_not_known_is_not():
    """As the server's scheduler writes it down."""
    assert started_by({"type": "SCHEDULE", "display_value": "weekly"}) == ", started by the schedule weekly"
    assert started_by({"type": "DEPLOYMENT", "display_value": "x"}) == started_by(None) == ""
