"""Who does what a run does, as the history tells it: the deployment's run, or the account."""

from __future__ import annotations

import logging
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from tasks.release.history import account

logger = logging.getLogger(__name__)

STARTED_BY = {"SCHEDULE": "the schedule", "AUTOMATION": "the automation"}


def actor() -> str:
    """Give who acts in the present flow run.

    Where a deployment runs, that is the flow run with its deployment, and the schedule or the automation
    that started it: in a pod, every run has the same account. A run that a command makes is its user's.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if run is None or run.deployment_id is None:
        return account()
    deployment, by = f"the deployment {run.deployment_id}", ""
    try:
        with get_client(sync_client=True) as client:
            asked = client.request("GET", "/flow_runs/{id}", path_params={"id": run.id})
            by = started_by(asked.json().get("created_by"))
            found = client.read_deployment(run.deployment_id)
            deployment = f"the deployment {client.read_flow(found.flow_id).name}/{found.name}"
    except Exception as error:  # the history has the ids in any case
        logger.warning("who started this run is not known: %s: %s", type(error).__name__, error)
    return f"flow run {run.id} of {deployment}{by}"


def started_by(created_by: dict[str, Any] | None) -> str:
    """Say what started a run, from what Prefect's server tells of it; empty where it was started by hand."""
    kind = STARTED_BY.get(str((created_by or {}).get("type")))
    return f", started by {kind} {created_by['display_value']}" if created_by and kind else ""
