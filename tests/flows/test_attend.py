"""When a run that does not start is ended; with stand-ins here, on a real cluster in tests/kubernetes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from flows.commands.attend import end

FULL = "FailedCreate: exceeded quota: slipway"


class Cluster:
    """Stands in for a cluster with a Job that has no pod, or one that is being made."""

    def __init__(self, *, warning: str, pod: bool) -> None:
        self.warning = warning
        self.pod = pod
        self.deleted: list[str] = []

    def jobs(self, labels):
        return [{"metadata": {"name": "job-1"}}]

    def pods(self, labels):
        assert labels == {"job-name": "job-1"}
        status = {
            "phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}],
        }
        return [{"metadata": {"name": "pod-1"}, "status": status}] if self.pod else []

    def warnings(self, name):
        return [self.warning] if self.warning and name == "job-1" else []

    def delete_job(self, name):
        self.deleted.append(name)


class Client:
    """Stands in for the Prefect server with one run that has been pending for some seconds."""

    def __init__(self, seconds: float, *, pending: bool = True) -> None:
        state = SimpleNamespace(
            timestamp=datetime.now(UTC) - timedelta(seconds=seconds), is_pending=lambda: pending
        )
        self.run = SimpleNamespace(id=uuid4(), name="run-1", state=state)
        self.set = []

    def read_flow_run(self, id):  # noqa: A002
        return self.run

    def set_flow_run_state(self, id, state):  # noqa: A002
        self.set.append((state.type.value, state.message))


def test_a_reason_is_told_and_the_job_goes():
    """What the Job's warning says stands in the state."""
    client, cluster = Client(25), Cluster(warning=FULL, pod=False)
    end(client, cluster, client.run, 20)
    ((state, message),) = client.set
    assert (state, message.split(" s: ")[1]) == ("FAILED", FULL)
    assert cluster.deleted == ["job-1"]


@pytest.mark.parametrize(("seconds", "ended"), [(25, False), (199, False), (201, True)])
def test_a_run_without_a_known_trouble_gets_more_time(seconds, ended):
    """A large image that is pulled is no trouble; at last, silence is."""
    client, cluster = Client(seconds), Cluster(warning="", pod=True)
    end(client, cluster, client.run, 20)
    assert bool(client.set) is bool(cluster.deleted) is ended


def test_a_run_that_started_meanwhile_is_left_alone():
    """It is asked for again just before."""
    client, cluster = Client(25, pending=False), Cluster(warning=FULL, pod=False)
    end(client, cluster, client.run, 20)
    assert (client.set, cluster.deleted) == ([], [])
