"""A flow in the process of a command: its outcome is what its body did, whatever Prefect's server does.

The engine reports the end of a run to the server, and waits minutes for one that is gone.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import wraps
from typing import Any

import httpx
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flows import Flow
from prefect.states import Completed, Failed

from settings.errors import Stopped, Surroundings
from tasks.observer import PATIENCE_SECONDS, give_up, hears
from tasks.stopping import should_stop


@dataclass
class Outcome:
    """What the body of a flow gave, or the error with which it ended."""

    result: Any = None
    error: BaseException | None = None

    def state(self) -> State[Any]:
        """Give the state that the engine would report."""
        return Completed() if self.error is None else Failed(message=f"{self.error}")

    def take(self) -> Any:
        """Give the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result


def run_observed(flow: Flow[..., Any], **parameters: Any) -> Any:
    """Run a flow and give its result, or raise its error, as its body ended; a lost server is said once.

    Raises Stopped where somebody set the run to another state in Prefect, Surroundings where the server went
    before the body began.
    """
    ended: list[Outcome] = []

    @wraps(flow.fn)
    def body(*arguments: Any, **named: Any) -> Any:
        outcome = Outcome()
        try:
            outcome.result = flow.fn(*arguments, **named)
        except BaseException as error:
            outcome.error = error
        ended.append(outcome)
        if not hears(0.0 if should_stop() else PATIENCE_SECONDS):
            raise Pause(state=outcome.state())  # by which the engine ends without a report
        return outcome.take()

    observed = copy(flow)
    observed.fn = body
    observed.should_validate_parameters = False  # they are the models; their names are not known to `body`
    try:
        observed(**parameters)
    except (Exception, Pause) as error:
        if not ended and isinstance(error, httpx.TransportError):
            raise Surroundings(f"the Prefect server went before the run began: {error}") from error
        if not ended:
            raise
        if error is not ended[0].error and not isinstance(error, Pause):
            give_up(error)
    try:
        return ended[0].take()
    except Pause as pause:
        raise Stopped(f"{pause}") from None
