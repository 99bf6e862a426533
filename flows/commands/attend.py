"""`slipway attend`: ends runs that cannot start, and says why in their state.

Prefect itself waits for ever for an image that is not there, a claim that does not bind or a quota that is
full, and tells little of it. This runs beside the worker, asks Kubernetes for the reason and fails the run.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows.commands.engine import API_URL
from settings.errors import SlipwayError, WrongInput
from tasks.channels.cluster import Cluster, Json
from tasks.channels.pods import trouble

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

logger = logging.getLogger("slipway")

DEADLINE_SECONDS = 180.0
PATIENCE = 10  # times the deadline, for a run of which no trouble is known
POLL_SECONDS = 5.0
RUN_LABEL = "prefect.io/flow-run-id"  # the worker puts it on each Job


def run(arguments: Sequence[str]) -> int:
    """Attend until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="slipway attend",
        description="End flow runs of a work pool that do not start within a deadline, with the reason.",
    )
    parser.add_argument("--pool", default="slipway", help="the work pool (default: %(default)s)")
    parser.add_argument(
        "--deadline",
        type=float,
        default=DEADLINE_SECONDS,
        metavar="SECONDS",
        help="from the pending state to the start of the run (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if API_URL not in os.environ:
        raise WrongInput(f"no Prefect server is named: set {API_URL}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    cluster = Cluster(os.environ.get("NAMESPACE", ""))
    from prefect.client.orchestration import get_client

    logger.info("runs of the pool %s have to start within %.0f s", options.pool, options.deadline)
    while True:
        try:
            with get_client(sync_client=True) as client:
                for late in late_runs(client, options.pool, options.deadline):
                    end(client, cluster, late, options.deadline)
        except SlipwayError as error:
            logger.warning("%s", error)
        except Exception as error:  # the server is away, or refuses: it is asked again
            logger.warning("the Prefect server: %s: %s", type(error).__name__, error)
        time.sleep(POLL_SECONDS)


def late_runs(client: SyncPrefectClient, pool: str, deadline_seconds: float) -> list[FlowRun]:
    """Give the runs of a pool that have been pending for longer than the deadline."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    pending = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])))
    found = client.read_flow_runs(
        flow_run_filter=pending, work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    )
    now = time.time()
    return [run for run in found if run.state and now - run.state.timestamp.timestamp() > deadline_seconds]


def end(client: SyncPrefectClient, cluster: Cluster, run: FlowRun, deadline_seconds: float) -> None:
    """Fail a run that is still pending, with the reason, and remove its Job.

    Where nothing is known to be wrong, as while a large image is pulled, it gets more time.
    """
    from prefect.states import Failed

    jobs = cluster.jobs({RUN_LABEL: str(run.id)})
    why = reason(cluster, jobs)
    state = client.read_flow_run(run.id).state
    if state is None or not state.is_pending():
        return
    waited = time.time() - state.timestamp.timestamp()
    if not why and waited < PATIENCE * deadline_seconds:
        return
    message = f"it did not start within {waited:.0f} s: {why or 'no event tells why'}"
    client.set_flow_run_state(run.id, Failed(message=message))
    logger.error("flow run %s: %s", run.name, message)
    for job in jobs:
        cluster.delete_job(job["metadata"]["name"])


def reason(cluster: Cluster, jobs: Sequence[Json]) -> str:
    """Say why no pod of the Jobs runs; empty where nothing tells."""
    if not jobs:
        return "the worker has made no Job for it"
    told: list[Any] = []
    for job in jobs:
        name = job["metadata"]["name"]
        pods = cluster.pods({"job-name": name})
        told += [trouble(pod, cluster.warnings) for pod in pods] or cluster.warnings(name)[-1:]
    return "; ".join(filter(None, told))
