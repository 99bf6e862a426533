"""The Prefect server as a run's observer: what it says of the run, and that the run goes on without it.

Prefect is imported where it is asked, so that a command that ends can look here without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from settings.errors import Stopped

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
PATIENCE_SECONDS = 5.0  # for a server that starts anew
POLL_SECONDS = 1.0
SUSPENDED = "Suspended"  # a pause whose process ends, and which another one takes up
DELETED = "Deleted"

_told = False  # that this run is not observed any more
_gone = False  # the server, when it was asked last


def is_gone() -> bool:
    """Tell whether the server did not answer when it was asked last: what waits to be sent waits in vain."""
    return _gone


def lose(reason: object) -> None:
    """Say, once in a process, that the server does not take what this run tells it."""
    global _told
    if not _told:
        _told = True
        logger.warning(
            "the Prefect server does not take what this run tells it (%s): the run goes on without it", reason
        )


def give_up(reason: object) -> None:
    """Take the server for gone, and say so where that was not said yet."""
    global _gone
    _gone = True
    lose(reason)


def hears(patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Tell whether the server answers and knows this run; where it does not, that is said once."""
    state = state_of_run(patience_seconds)
    if state is not None and state.name == DELETED:
        lose(state.message)
    return state is not None and state.name != DELETED


def state_of_run(patience_seconds: float = PATIENCE_SECONDS) -> State[Any] | None:
    """Give the state that the server has of the flow run that this is.

    None where this is no flow run, or the server does not tell for `patience_seconds`.
    """
    global _gone
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.runtime import flow_run
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
    from prefect.states import Cancelled

    if not flow_run.id:
        return None
    end = time.monotonic() + patience_seconds
    while True:
        try:
            with (
                temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
                get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client,
            ):
                state = client.read_flow_run(UUID(flow_run.id)).state
            _gone = False
            return state
        except ObjectNotFound:
            return Cancelled(name=DELETED, message="the flow run is not known there any more")
        except httpx.HTTPError as error:
            if time.monotonic() > end:
                give_up(str(error) or type(error).__name__)
                return None
        time.sleep(POLL_SECONDS)


def await_running(what: str, *, should_stop: Callable[[], bool]) -> None:
    """Return where the flow run that this is may go on with `what`: it is Running, or nobody tells.

    One that is Paused is waited for. Raises Prefect's Pause, which leaves the run's state as it is, where
    somebody set another one; Stopped where the process is asked to stop.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import Pause

    waiting = False
    while (state := state_of_run()) is not None and state.type != StateType.RUNNING:
        if state.type != StateType.PAUSED or state.name == SUSPENDED:
            message = f"the flow run was set to {state.name} in Prefect: stopped before {what}"
            if state.type == StateType.CANCELLING:
                state = cancel(message) or state
            raise Pause(message, state=state)
        if not waiting:
            waiting = True
            logger.warning(
                "the flow run is %s in Prefect: %s waits until it is resumed, or cancelled", state.name, what
            )
        if should_stop():
            raise Stopped(f"stopped while the flow run was {state.name} in Prefect, before {what}")
        time.sleep(POLL_SECONDS)


def cancel(message: str) -> State[Any] | None:
    """Set the flow run that this is to Cancelled: nobody else does so for one that no worker has started.

    Gives its new state; None where the server does not take it.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run
    from prefect.states import Cancelled

    try:
        with get_client(sync_client=True) as client:
            return client.set_flow_run_state(UUID(flow_run.id), Cancelled(message=message), force=True).state
    except httpx.HTTPError as error:
        logger.warning("the flow run cannot be set to Cancelled: %s", error)
        return None
