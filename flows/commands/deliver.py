"""`slipway deliver`: reads the settings, runs the flow in this process, and prints what came of it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flows.commands.engine import ready_prefect
from settings.delivery import Parameters
from settings.errors import NotPromoted, SlipwayError
from settings.modules import find_model
from settings.sources import Resolved, resolve
from tasks.datasets.roles import check_roles
from tasks.models.builtin import BUILT_IN
from tasks.own_sets import bring_sets
from tasks.steps import read_code
from tasks.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from flows.deliver import Delivered


def run(arguments: Sequence[str]) -> int:
    """Deliver; raises SlipwayError."""
    model = find_model(arguments, environ=os.environ, folder=Path.cwd(), default=BUILT_IN)
    resolved = resolve(arguments, Parameters(model), environ=os.environ, folder=Path.cwd())
    wanted = (resolved.delivery.data.train, *resolved.delivery.data.outliers)
    bring_sets(model, wanted, resolved.places.data_root)
    check_roles(resolved.delivery.data, resolved.origins, resolved.places.data_root)
    place = open_workplace(resolved.places, resolved.delivery.serving.name)  # a backend may not work here
    read_code(model)
    with ready_prefect(resolved.places, "a delivery"):
        from flows.deliver import flow_of
        from flows.observed import run_observed

        try:
            delivered = run_observed(flow_of(model), **parameters(resolved))
        except BaseException as error:
            if isinstance(error, NotPromoted) and error.outcome is not None:
                say(cast("Delivered", error.outcome), resolved.places.serving_token_file)
            print(in_production(place), flush=True)
            raise
    say(delivered, resolved.places.serving_token_file)
    if not delivered.production_url:
        print(in_production(place), flush=True)
    return 0


def parameters(resolved: Resolved) -> dict[str, Any]:
    """Give the parameters of the flow: one per stage, and how far to go."""
    return {**resolved.delivery.stages, "until": resolved.until, "force": resolved.force, "why": resolved.why}


def say(delivered: Delivered, token_file: Path | None) -> None:
    """Print the tables, and what can be done next, with the token of that file."""
    from tasks.judging.receipt import RECEIPT, read_receipt
    from tasks.reporting.terminal import gates_table, printable, stages_table, wants_colour

    out = sys.stdout
    lines = ["", stages_table([asdict(entry) for entry in delivered.timeline]), ""]
    model = f"version {delivered.version} of {delivered.name}"
    folder = ""
    if delivered.receipt is not None:
        folder = shortened(delivered.receipt)
        receipt = read_receipt(delivered.receipt)
        lines += [gates_table(receipt, colour=wants_colour(out, os.environ)), ""]
        lines += [f"receipt  {folder}/{RECEIPT}", f"report   {folder}/report.html", ""]
    if delivered.production_url:
        ask = f"{delivered.production_url}/v1/models/{delivered.name}:predict"
        lines += [
            f"{model} is in production",
            f"ask it   {curl('-d', f'@{folder}/request.json', ask, token_file=token_file)}",
            "stop it  make stop",
        ]
    elif delivered.stage_url:
        ask = f"{delivered.stage_url}/v1/models/{delivered.name}"
        see = curl(ask, token_file=token_file)
        lines += [f"{model} is on the stage", f"see it   {see}", "stop it  make stop"]
    elif delivered.until == "judged":
        lines += [f"{model} is judged"]
    elif delivered.until == "exported":
        lines += [f"{model} is exported"]
    print(printable("\n".join(lines), out), file=out, flush=True)


def curl(*words: str, token_file: Path | None) -> str:
    """Give a call of curl for a shell; the token is read by the shell, and not printed."""
    if token_file is None:
        return shlex.join(["curl", *words])
    token = f"$(cat {shlex.quote(str(token_file))})"  # $( begins a quoting of its own
    return f'curl -H "Authorization: Bearer {token}" {shlex.join(words)}'


def in_production(place: Workplace) -> str:
    """Say what production serves now, in one line."""
    try:
        serving = place.backend.current("production")
    except SlipwayError as error:
        return f"what production serves cannot be told: {error}"
    if serving is None:
        return "production serves nothing"
    what = f"version {serving.version}" if serving.version else "no version"
    detail = "" if serving.healthy else f": {serving.detail}"
    return f"production serves {what} of {place.registry.name} at {serving.endpoint.url}{detail}"


def shortened(path: Path) -> str:
    """Give a path relative to the working directory where it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
