"""`slipway register`: the work pool, the deployments and the automations, in a Prefect server."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.commands.engine import API_URL, check_server
from settings.errors import Surroundings, WrongInput

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
POOLS = {"slipway": "kubernetes", "compose": "compose"}
"""The work pools, each with the name of its deployments."""
AUTOMATIONS = {
    "slipway": ["automations.json"],
    "compose": ["automations.json", "automations-compose.json"],
}
"""The files with the automations of each work pool."""


def run(arguments: Sequence[str]) -> int:
    """Register; what is registered already is brought up to date."""
    parser = argparse.ArgumentParser(
        prog="slipway register",
        description="Register the work pool, the deployments and the automations in the Prefect server that "
        f"{API_URL} names. Defaults of parameters are those of the code.",
    )
    parser.add_argument(
        "--pool",
        choices=POOLS,
        default="slipway",
        help="slipway: each run is a Job of the cluster; compose: each is a process of the worker "
        "(default: %(default)s)",
    )
    parser.add_argument("--image", help="of the Jobs: the image of the flows")
    parser.add_argument(
        "--namespace", default=os.environ.get("NAMESPACE", ""), help="of the Jobs (default: NAMESPACE)"
    )
    options = parser.parse_args(arguments)
    jobs = options.pool == "slipway"
    if jobs and not options.image:
        raise WrongInput("no image is named: give --image")
    if jobs and not options.namespace:
        raise WrongInput("no namespace is named: give --namespace, or set NAMESPACE")
    if not (url := os.environ.get(API_URL)):
        raise WrongInput(f"no Prefect server is named: set {API_URL}")
    check_server(url)
    if jobs:
        template = job_template(options.image, options.namespace)
        register_pool(options.pool, "kubernetes", "Deliveries, each a Job.", template)
        print(f"work pool   {options.pool}: image {options.image}, namespace {options.namespace}")
    else:
        register_pool(options.pool, "process", "Deliveries, each a process.", process_template())
        print(f"work pool   {options.pool}")
    for deployment in register_deployments(POOLS[options.pool]):
        print(f"deployment  {deployment}")
    for automation in register_automations(options.pool):
        print(f"automation  {automation}")
    return 0


def job_template(image: str, namespace: str) -> dict[str, Any]:
    """Give the base job template of the work pool, with the image and the namespace of its runs."""
    template: dict[str, Any] = json.loads((DEPLOYMENTS / "job-template.json").read_text())
    properties = template["variables"]["properties"]
    properties["image"]["default"] = image
    properties["namespace"]["default"] = namespace
    return template


def process_template() -> dict[str, Any]:
    """Give the base job template of processes, which is Prefect's own."""
    from prefect.workers.process import ProcessWorker

    return ProcessWorker.get_default_base_job_template()


def register_pool(name: str, kind: str, description: str, template: dict[str, Any]) -> None:
    """Make the work pool, or bring it up to date: a worker that came first made it with another template."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=name, type=kind, description=description, base_job_template=template)
        client.create_work_pool(pool, overwrite=True)


def register_deployments(name: str) -> list[str]:
    """Register those of prefect.yaml with this name, as Prefect's own command does; give the full names.

    A schedule that somebody has turned on stays on.
    """
    running = active_schedules()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--name", name, "--prefect-file"]
    # In an empty folder: the command takes the working directory for the project.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, str(DEPLOYMENTS / "prefect.yaml")],
            cwd=folder,
            env={"SLIPWAY_REVISION": "unknown", **os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise Surroundings(f"the deployments are not registered:\n{done.stdout}{done.stderr}")
    turn_on(running)
    return re.findall(r"Deployment '(\S+)' successfully created", done.stdout)


def active_schedules() -> set[tuple[UUID, str | None]]:
    """Give the schedules that are on: the id of the deployment, and the slug."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_deployments()
    return {(one.id, each.slug) for one in found for each in one.schedules if each.active}


def turn_on(wanted: set[tuple[UUID, str | None]]) -> None:
    """Turn the schedules on."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for one in client.read_deployments():
            for each in one.schedules:
                if (one.id, each.slug) in wanted and not each.active:
                    client.update_deployment_schedule(one.id, each.id, active=True)


def register_automations(pool: str) -> list[str]:
    """Make the automations of a work pool, or bring them up to date, and give their names."""
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore

    files = [json.loads((DEPLOYMENTS / name).read_text()) for name in AUTOMATIONS[pool]]
    described = [one for file in files for one in file["automations"]]
    with get_client(sync_client=True) as client:
        for one in described:
            wanted = AutomationCore.model_validate(one)
            present = client.read_automations_by_name(wanted.name)
            if not present:
                client.create_automation(wanted)
            # One that is written anew forgets what it was waiting for.
            elif present[0].model_dump(include=set(AutomationCore.model_fields)) != wanted.model_dump():
                client.update_automation(present[0].id, wanted)
    return [one["name"] for one in described]
