"""A training in a pod of its own: a run of the model's deployment, which leaves it in the store."""

from __future__ import annotations

import logging
import os
import time
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from settings.errors import Stopped, Surroundings
from settings.hyperparameters import DataSettings
from settings.model import Training
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.store.keys import Key
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)

VARIABLE = "TRAIN_DEPLOYMENT"  # the deployment of the delivery sets it: that of its own model
DEPLOYMENT = "train/kubernetes"
POLL_SECONDS = 2.0
REVIVAL_SECONDS = 30.0  # within which an automation starts a crashed run again


def train_in_pod(
    place: Workplace, network: str, key: Key, dataset: Artifact, data: DataSettings, settings: Training
) -> Artifact:
    """Give the network of a key, trained by a run of its own.

    A delivery that starts again, since its pod was lost, finds the run that it started before; one that has
    ended without a result is followed by another one.
    """
    parameters: dict[str, Any] = {"network": network, "dataset": dataset.model_dump(mode="json")}
    parameters |= {"data": data.model_dump(mode="json"), "settings": settings.model_dump(mode="json")}
    run = start(network, parameters, f"{flow_run.id}-{network}-{key.digest}")
    while is_over(run.state) and place.store.find(network, key) is None:
        run = start(network, parameters, f"after-{run.id}")
    logger.info("the %s is trained by the flow run %s", network, run.name)
    with get_client(sync_client=True) as client:
        state = await_end(client, run.id, network)
    made = place.store.find(network, key)
    if made is None and state.is_completed():
        raise Surroundings(
            f"the training of the {network} ended well, and its result is not here: the pods of "
            f"{deployment()} have to have the image and the claims of this one (see its job variables)"
        )
    if made is None:
        raise Surroundings(f"the training of the {network} ended as {state.name}: {state.message}")
    return made


def deployment() -> str:
    """Give the name of the deployment whose runs train."""
    return os.environ.get(VARIABLE) or DEPLOYMENT


def start(network: str, parameters: dict[str, Any], idempotency_key: str) -> FlowRun:
    """Start a run of the training; give the one that was started with this key before, if any."""
    try:
        run = run_deployment(
            deployment(),
            parameters=parameters,
            timeout=0,
            flow_run_name=f"train-{network}",
            idempotency_key=idempotency_key,
        )
    except ObjectNotFound as error:
        raise Surroundings(
            f"RUNNER=kubernetes needs the deployment {deployment()}, which the Prefect server does not have: "
            "register it (make deployments), or set RUNNER=local"
        ) from error
    assert isinstance(run, FlowRun)  # noqa: S101 - it is a coroutine only where an event loop runs
    return run


def is_over(state: State[Any] | None) -> bool:
    """Tell whether a run has ended for good: one that crashed is started again within some seconds."""
    if state is None or not state.is_final():
        return False
    return not state.is_crashed() or time.time() - state.timestamp.timestamp() > REVIVAL_SECONDS


def await_end(client: SyncPrefectClient, run: UUID, network: str) -> State[Any]:
    """Wait for the end of a run; Stopped where this one is asked to stop. A cancelled delivery cancels it.

    A Prefect server that is away is waited for.
    """
    while True:
        if should_stop():
            if is_cancelled(client):
                client.set_flow_run_state(run, Cancelling())
            raise Stopped(f"stopped while the {network} was trained in a pod of its own")
        try:
            state = client.read_flow_run(run).state
        except httpx.HTTPError as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise  # as with a wrong password: waiting would not help
            logger.warning("the Prefect server does not tell of the training of the %s: %s", network, error)
        else:
            if state is not None and is_over(state):
                return state
        time.sleep(POLL_SECONDS)


def is_cancelled(client: SyncPrefectClient) -> bool:
    """Tell whether the flow run that this process is was cancelled, and not only moved to another pod."""
    state = client.read_flow_run(UUID(flow_run.id)).state if flow_run.id else None
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
