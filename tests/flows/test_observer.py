"""Prefect observes a delivery: one that loses its server goes on, one that is not to run does not promote."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from tests.flows.conftest import EXPORTED, JUDGED
from tests.flows.test_stopping import processes_of

pytestmark = pytest.mark.slow

DELIVER = str(Path(__file__).resolve().parents[2] / "flows" / "deliver.py")
GONE = "the Prefect server does not take what this run tells it"


class Line:
    """A way to a server that can be cut, or fall silent: for who is at this end, the server did so."""

    def __init__(self, port: int) -> None:
        """Listen, and pass on to a port of this machine what comes."""
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut, self.silent = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.listen)]
        self.threads[0].start()

    def listen(self) -> None:
        """Take connections until the line is cut."""
        while not self.cut.is_set():
            if select.select([self.listener], [], [], 0.05)[0]:
                thread = threading.Thread(target=self.pass_on, args=(self.listener.accept()[0],))
                self.threads.append(thread)
                thread.start()
        self.listener.close()

    def pass_on(self, here: socket.socket) -> None:
        """Pass on one connection, in both ways."""
        with (
            here,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.target)) as there,
        ):
            other = {here: there, there: here}
            while not self.cut.is_set():
                ready = select.select(list(other), [], [], 0.05)[0]
                for end in ready if not self.silent.wait(0.05 if self.silent.is_set() else 0) else ():
                    try:
                        data = end.recv(65_536)
                        other[end].sendall(data)
                    except OSError:
                        return
                    if not data:
                        return


@pytest.fixture
def line(place: Any, prefect_api: str) -> Iterator[Line]:
    """The line by which the deliveries of the place reach their Prefect server."""
    line = Line(urlsplit(prefect_api).port or 0)
    place.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{line.port}/api"
    yield line
    line.cut.set()
    for thread in line.threads:
        thread.join()


def delivered_alone(place: Any, run: Any) -> str:
    """Wait for the end of a run that lost its server, check that it ended well, and give what it said."""
    said: str = run.done()
    assert said.count(GONE) == 1, said
    # Other tests may hold the lock of the datasets: that is told too.
    told = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
    warnings = [line for line in told if "tasks.store.lock - waiting for" not in line]
    assert len(warnings) == 1, said
    assert "logging to API" not in said
    assert "version 1 of mnist is in production" in said.splitlines()[-3]
    assert place.served_version() == 1
    events = [event for event, _ in place.events() if event != "staged"]  # none is where a verdict is at hand
    assert events == ["exported", "judged", "promoted"]
    return said


TRAINING = "classifier: step 300 of"
LONG = {"steps": 1_500, "display_steps": 100}


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("settings: ", JUDGED),
        (TRAINING, ()),
        ("test: 3,000 rows scored", EXPORTED),
        ("the server of production is process", JUDGED),
    ],
    ids=["fetching", "training", "judging", "promotion"],
)
def test_a_delivery_goes_on_without_its_server(place, template, line, moment, found):
    """A server that goes, at whatever moment, costs one warning and nothing else."""
    place.take(template, found)
    if moment == TRAINING:
        place.write_settings(classifier=LONG)
    run = place.run(DELIVER)
    run.wait_for(moment)
    line.cut.set()
    delivered_alone(place, run)


def test_a_delivery_goes_on_without_a_server_that_hangs(place, line):
    """One that takes connections and never answers is no more waited for than one that is gone."""
    place.write_settings(classifier=LONG)
    run = place.run(DELIVER)
    run.wait_for(TRAINING)
    line.silent.set()
    delivered_alone(place, run)


def test_a_delivery_goes_on_without_its_temporary_server(place):
    """The server that the command starts for itself may be killed as well."""
    place.write_settings(classifier=LONG)
    run = place.run(DELIVER, PREFECT_API_URL=None, PREFECT_HOME=str(place.root / "prefect"))
    run.wait_for(TRAINING)
    (server,) = [pid for pid, command in processes_of(place).items() if "create_app" in command]
    os.kill(server, signal.SIGKILL)
    delivered_alone(place, run)


def test_a_failed_gate_without_its_server(delivered, line):
    """The exit code and the last lines are those of the delivery: refused, and what production serves."""
    delivered.write_settings(judging={"min_accuracy": 1.0})
    run = delivered.run(DELIVER)
    run.wait_for("verdict: changed: setting judging.min_accuracy")
    line.cut.set()
    last = run.refused(1)
    assert "accuracy" in last
    assert "production serves version 1 of mnist at " in run.said.splitlines()[-2]
    assert run.said.count(GONE) == 1
    assert delivered.served_version() == 1


def flow_run_of(run: Any) -> UUID:
    """Give the id of the flow run that a command told of."""
    return UUID(re.findall(r"/runs/flow-run/([0-9a-f-]{36})", run.said)[0])


def set_state(run: Any, state: Any) -> None:
    """Set the state of a command's flow run, as the UI does."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_of(run), state, force=True)


def test_a_paused_run_promotes_when_it_is_resumed(exported):
    """It waits before the promotion, and says so; nothing is in production until then."""
    from prefect.states import Paused, Running

    run = exported.run(DELIVER)
    run.wait_for("verdict: made for the first time")
    set_state(run, Paused())
    run.wait_for("the promotion of version 1 waits until it is resumed, or cancelled")
    assert ("promoted", 1) not in exported.events()
    assert not (exported.models / "mnist" / "1").exists()
    set_state(run, Running())
    run.done()
    assert exported.served_version() == 1


@pytest.mark.parametrize("name", ["Suspended", "Cancelling", "Failed"])
def test_a_run_that_is_not_to_run_promotes_nothing(exported, name):
    """It ends before the promotion, with the state that was set; the next run promotes what was judged."""
    from prefect import states
    from prefect.client.orchestration import get_client

    made = {"Suspended": states.Suspended, "Cancelling": states.Cancelling, "Failed": states.Failed}
    run = exported.run(DELIVER)
    run.wait_for("verdict: made for the first time")
    set_state(run, made[name]())
    line = run.refused(130)
    assert line == (
        f"slipway: the flow run was set to {name} in Prefect: stopped before the promotion of version 1"
    )
    assert "production serves nothing" in run.said.splitlines()[-2]
    assert exported.events() == [("exported", 1), ("staged", 1), ("judged", 1)]
    with get_client(sync_client=True) as client:
        left = client.read_flow_run(flow_run_of(run)).state.name
    assert left == {"Cancelling": "Cancelled"}.get(name, name)
    assert "Task run 'judge' - Finished in state Cached" in exported.run(DELIVER).done()
    assert exported.served_version() == 1
