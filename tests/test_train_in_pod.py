"""A training in a pod of its own: which run it waits for, and how; with stand-ins, on a cluster elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import State, StateType

from settings.errors import Surroundings
from settings.hyperparameters import ClassifierSettings, DataSettings
from tasks import train_in_pod
from tasks.store.artifacts import Artifact

KEY = SimpleNamespace(digest="0" * 64)
MADE = "what was trained"


def state(kind: StateType, seconds_ago: float = 0.0) -> State:
    return State(type=kind, timestamp=datetime.now(UTC) - timedelta(seconds=seconds_ago), message="a reason")


class Server:
    """Stands in for the Prefect server: it starts each run in the next of some states."""

    def __init__(self, *states: State, later: object = None) -> None:
        self.states = list(states)
        self.later = [later] if later is not None else []
        self.runs: dict[str, SimpleNamespace] = {}

    def start(self, network: str, parameters: object, idempotency_key: str) -> SimpleNamespace:
        run = SimpleNamespace(id=uuid4(), name="run", state=self.states.pop(0))
        return self.runs.setdefault(idempotency_key, run)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def read_flow_run(self, run: object) -> SimpleNamespace:
        if self.later and isinstance(error := self.later[0], Exception):
            del self.later[0]
            raise error
        (found,) = [each for each in self.runs.values() if each.id == run]
        return SimpleNamespace(state=self.later[0] if self.later else found.state)


class Store:
    """Stands in for the store, which has the result from the nth look on."""

    def __init__(self, from_look: int) -> None:
        self.left = from_look

    def find(self, network: str, key: object) -> str | None:
        self.left -= 1
        return MADE if self.left <= 0 else None


def train(monkeypatch: pytest.MonkeyPatch, server: Server, store: Store) -> object:
    monkeypatch.setattr(train_in_pod, "start", server.start)
    monkeypatch.setattr(train_in_pod, "get_client", lambda sync_client: server)
    monkeypatch.setattr(train_in_pod, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(train_in_pod, "should_stop", lambda: False)
    dataset = Artifact(kind="dataset/mnist", path="mnist/0", digest="d")
    return train_in_pod.train_in_pod(
        SimpleNamespace(store=store), "classifier", KEY, dataset, DataSettings(), ClassifierSettings()
    )


@pytest.mark.parametrize(
    ("before", "runs"),
    [
        (state(StateType.FAILED), 2),
        (state(StateType.COMPLETED), 2),  # its result was removed since
        (state(StateType.CANCELLED), 2),
        (state(StateType.CRASHED, 60), 2),
        (state(StateType.CRASHED), 1),  # the automation starts it again
        (state(StateType.RUNNING), 1),
    ],
)
def test_a_run_that_ended_without_a_result_is_followed_by_another(monkeypatch, before, runs):
    """A delivery that starts again would else be given the old failure for ever."""
    server = Server(before, state(StateType.RUNNING), later=state(StateType.COMPLETED))
    assert train(monkeypatch, server, Store(from_look=2 if runs == 2 else 1)) == MADE
    assert len(server.runs) == runs


def test_a_server_that_is_away_is_waited_for(monkeypatch):
    """The training goes on meanwhile, and is taken over."""
    server = Server(state(StateType.RUNNING), later=httpx.ConnectError("away"))
    server.later.append(state(StateType.COMPLETED))
    assert train(monkeypatch, server, Store(from_look=1)) == MADE


def test_a_server_that_refuses_is_not_waited_for(monkeypatch):
    """As with a wrong password: asking again would go on for ever."""
    request = httpx.Request("GET", "http://server/api")
    refused = httpx.HTTPStatusError("401", request=request, response=httpx.Response(401, request=request))
    with pytest.raises(httpx.HTTPStatusError):
        train(monkeypatch, Server(state(StateType.RUNNING), later=refused), Store(from_look=1))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (StateType.COMPLETED, "its result is not here: .* have to have the image and the claims of this one"),
        (StateType.FAILED, "ended as Failed: a reason"),
    ],
)
def test_without_a_result_the_reason_is_told(monkeypatch, kind, said):
    """That of the run; where it ended well, the places are not the same."""
    server = Server(state(StateType.RUNNING), later=state(kind))
    with pytest.raises(Surroundings, match=said):
        train(monkeypatch, server, Store(from_look=99))
