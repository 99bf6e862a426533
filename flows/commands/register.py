"""`slipway register`: the work pool, the deployments of a model and the automations, in a Prefect server.

The parameters of a delivery are those of its model, so this runs where the model's module is.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from flows.commands.engine import API_URL, check_server
from settings.delivery import Parameters
from settings.errors import Surroundings, WrongInput
from settings.modules import VARIABLE, find_model, wanted_module
from tasks.models.builtin import BUILT_IN

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
POOLS = {"slipway": "kubernetes", "compose": "compose"}
"""The work pools, each with the name of its deployments in prefect.yaml.

In a cluster, which is there for several models, those of any model but the built-in one have its name.
"""
NAME = "MODEL_NAME"  # of the model that is served, where that is known beforehand
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
        f"{API_URL} names. Parameters and their defaults are those of the model that {VARIABLE} names, else "
        f"of {BUILT_IN.name}.",
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
        "--model-image", help="of the model's Jobs: one that has its module (default: --image)"
    )
    parser.add_argument(
        "--namespace", default=os.environ.get("NAMESPACE", ""), help="of the Jobs (default: NAMESPACE)"
    )
    parser.add_argument(
        "--print-name", action="store_true", help="print the name of the model, and register nothing"
    )
    options = parser.parse_args(arguments)
    model = find_model((), environ=os.environ, folder=Path.cwd(), default=BUILT_IN)
    name = str(Parameters(model).delivery().serving.name)
    if options.print_name:
        print(name)
        return 0
    if (served := os.environ.get(NAME, name)) != name:
        raise WrongInput(f"{NAME} is {served}, and the model here is {name}: name the image of its module")
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
    for deployment in register_deployments(described(options.pool, name, options.model_image)):
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


def described(pool: str, name: str, image: str | None = None) -> list[dict[str, Any]]:
    """Give the deployments of prefect.yaml for a work pool, as those of the model `name`.

    `image` is that of the model's runs, where it is not the pool's. The way back needs no module, and keeps
    the pool's image.
    """
    usual = POOLS[pool]
    file: dict[str, Any] = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())
    found = [copy.deepcopy(one) for one in file["deployments"] if one["name"] == usual]
    called = name if pool == "slipway" and name != BUILT_IN.name else usual
    if pool == "slipway" and name in POOLS.values():
        raise WrongInput(f"no model in a cluster can be called {name}: that is a name of {BUILT_IN.name}'s")
    for one in found:
        one["name"] = called
        variables: dict[str, Any] = {}
        if one["entrypoint"] == "flows.rollback.rollback":
            if name != BUILT_IN.name:
                one["parameters"] = {"serving": {"name": name}}
                variables["env"] = {NAME: name}
        else:
            variables |= {"image": image} if image else {}
            if called != usual and one["entrypoint"] == "flows.deliver.deliver":
                variables["train_deployment"] = f"train/{called}"
        if pool == "slipway" and variables:
            one["work_pool"].setdefault("job_variables", {}).update(variables)
    return found


def register_deployments(wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    """Register deployments, as Prefect's own command does; give the full names.

    A schedule that somebody has turned on stays on.
    """
    running = active_schedules()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"]
    # In an empty folder: the command takes the working directory for the project.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump({"name": "slipway", "deployments": [dict(one) for one in wanted]}))
        done = subprocess.run(
            [*command, str(file)],
            cwd=folder,
            env={"SLIPWAY_REVISION": "unknown", **os.environ, **module_variables(), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise Surroundings(f"the deployments are not registered:\n{done.stdout}{done.stderr}")
    turn_on(running)
    return re.findall(r"Deployment '(\S+)' successfully created", done.stdout)


def module_variables() -> dict[str, str]:
    """Give the variables by which a process in another folder finds the module of the model."""
    folder = Path.cwd()
    wanted = wanted_module((), os.environ, folder)
    if wanted is None:
        return {}
    if (module := str(wanted.value)).endswith(".py"):
        return {VARIABLE: str(folder / Path(module).expanduser())}
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {VARIABLE: module, "PYTHONPATH": os.pathsep.join(path)}


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
