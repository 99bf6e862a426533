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
from typing import TYPE_CHECKING
from uuid import UUID

from flows.commands.engine import API_URL
from settings.errors import SlipwayError, WrongInput
from tasks.channels.cluster import Cluster
from tasks.channels.pods import Json, conditions, is_live, trouble

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
        help="from the pending state to the start of the run, and from a lost pod to the next one "
        "(default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if API_URL not in os.environ:
        raise WrongInput(f"no Prefect server is named: set {API_URL}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    cluster = Cluster(os.environ.get("NAMESPACE", ""))
    from prefect.client.orchestration import get_client

    logger.info("runs of the pool %s have to start within %.0f s", options.pool, options.deadline)
    attendant = Attendant(cluster, options.deadline)
    while True:
        try:
            with get_client(sync_client=True) as client:
                for unfinished in unfinished_runs(client, options.pool):
                    attendant.look_at(client, unfinished)
        except SlipwayError as error:
            logger.warning("%s", error)
        except Exception as error:  # the server is away, or refuses: it is asked again
            logger.warning("the Prefect server: %s: %s", type(error).__name__, error)
        time.sleep(POLL_SECONDS)


def unfinished_runs(client: SyncPrefectClient, pool: str) -> list[FlowRun]:
    """Give the runs of a pool that a worker has taken and that have not ended."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    taken = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=taken)),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )


class Attendant:
    """Ends runs whose pod does not start within a deadline; the first one, or one in place of a lost one."""

    def __init__(self, cluster: Cluster, deadline_seconds: float) -> None:
        self.cluster = cluster
        self.deadline_seconds = deadline_seconds
        self.lost: dict[UUID, float] = {}  # running runs without a running pod: since when

    def look_at(self, client: SyncPrefectClient, run: FlowRun) -> None:
        """Fail a run that waits for its pod for too long, with the reason, and remove its Job.

        Where nothing is known to be wrong, as while a large image is pulled, it gets more time.
        """
        from prefect.states import Failed

        state = run.state
        if state is None:
            return
        if state.is_pending():
            waited, what = time.time() - state.timestamp.timestamp(), "it did not start"
        else:
            waited, what = self._without_pod(run), "its pod was lost, and no other one started"
        if waited <= self.deadline_seconds:
            return
        job = newest(self.cluster.jobs({RUN_LABEL: str(run.id)}))
        why = reason(self.cluster, job)
        if not why and waited < PATIENCE * self.deadline_seconds:
            return
        now = client.read_flow_run(run.id).state
        if now is None or now.type != state.type:
            return
        message = f"{what} within {waited:.0f} s: {why or 'no event tells why'}"
        client.set_flow_run_state(run.id, Failed(message=message))
        logger.error("flow run %s: %s", run.name, message)
        if job is not None:
            self.cluster.delete_job(job["metadata"]["name"])

    def _without_pod(self, run: FlowRun) -> float:
        """Give for how many seconds a running run has been seen with a Job and without a running pod."""
        job = newest(self.cluster.jobs({RUN_LABEL: str(run.id)}))
        if job is None or any(pod["status"].get("phase") == "Running" for pod in pods_of(self.cluster, job)):
            self.lost.pop(run.id, None)
            return 0.0
        return time.monotonic() - self.lost.setdefault(run.id, time.monotonic())


def newest(jobs: Sequence[Json]) -> Json | None:
    """Give the newest Job that has not ended: those of a run's earlier starts stay for a while."""
    unfinished = [
        job
        for job in jobs
        if not any(
            each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions(job)
        )
    ]
    return max(unfinished, key=lambda job: str(job["metadata"]["creationTimestamp"]), default=None)


def pods_of(cluster: Cluster, job: Json) -> list[Json]:
    """Give the pods of a Job that have not ended: those that were lost say nothing of the one that comes."""
    found = cluster.pods({"job-name": job["metadata"]["name"]})
    return [pod for pod in found if is_live(pod)]


def reason(cluster: Cluster, job: Json | None) -> str:
    """Say why no pod of a Job runs; empty where nothing tells."""
    if job is None:
        return "the worker has made no Job for it"
    told = [trouble(pod, cluster.warnings) for pod in pods_of(cluster, job)]
    return "; ".join(filter(None, told or cluster.warnings(job["metadata"]["name"])[-1:]))
