"""When a run that does not start is ended; with stand-ins here, on a real cluster in tests/kubernetes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType

from flows.commands.attend import Attendant

FULL = "FailedCreate: exceeded quota: slipway"
CREATING = {
    "phase": "Pending",
    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}],
}
KILLED = {
    "phase": "Failed",
    "containerStatuses": [{"name": "flow", "state": {"terminated": {"reason": "Error", "exitCode": 137}}}],
}
RUNNING = {"phase": "Running"}


def job(name, minute=0, *conditions):
    status = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
    created = f"2026-01-01T00:0{minute}:00Z"
    return {"metadata": {"name": name, "creationTimestamp": created}, "status": status}


class Cluster:
    """Stands in for a cluster with Jobs, and the pods of each."""

    def __init__(self, *jobs, pods=None, warning=""):
        self.all_jobs = list(jobs)
        self.pods_of = pods or {}
        self.warning = warning
        self.deleted = []

    def jobs(self, labels):
        return self.all_jobs

    def pods(self, labels):
        found = self.pods_of.get(labels["job-name"], [])
        return [
            {"metadata": {"name": f"pod-{number}"}, "status": status} for number, status in enumerate(found)
        ]

    def warnings(self, name):
        return [self.warning] if self.warning and name.startswith("job") else []

    def delete_job(self, name):
        self.deleted.append(name)


class Client:
    """Stands in for the Prefect server with one run, which has been in its state for some seconds."""

    def __init__(self, seconds=25.0, kind=StateType.PENDING):
        state = SimpleNamespace(
            type=kind,
            timestamp=datetime.now(UTC) - timedelta(seconds=seconds),
            is_pending=lambda: kind == StateType.PENDING,
        )
        self.run = SimpleNamespace(id=uuid4(), name="run-1", state=state)
        self.now = state
        self.set = []

    def read_flow_run(self, id):  # noqa: A002
        return SimpleNamespace(state=self.now)

    def set_flow_run_state(self, id, state):  # noqa: A002
        self.set.append((state.type.value, state.message))


def looked_at(client, cluster, deadline=20):
    Attendant(cluster, deadline).look_at(client, client.run)
    return client.set


def test_a_reason_is_told_and_the_job_goes():
    """What the Job's warning says stands in the state."""
    cluster = Cluster(job("job-1"), warning=FULL)
    ((state, message),) = looked_at(Client(), cluster)
    assert (state, message) == ("FAILED", f"it did not start within 25 s: {FULL}")
    assert cluster.deleted == ["job-1"]


@pytest.mark.parametrize(("seconds", "ended"), [(25, False), (199, False), (201, True)])
def test_a_run_without_a_known_trouble_gets_more_time(seconds, ended):
    """A large image that is pulled is no trouble; at last, silence is."""
    cluster = Cluster(job("job-1"), pods={"job-1": [CREATING]})
    assert bool(looked_at(Client(seconds), cluster)) is bool(cluster.deleted) is ended


def test_a_run_that_started_meanwhile_is_left_alone():
    """It is asked for again just before."""
    client, cluster = Client(), Cluster(job("job-1"), warning=FULL)
    client.now = SimpleNamespace(type=StateType.RUNNING)
    assert (looked_at(client, cluster), cluster.deleted) == ([], [])


@pytest.mark.parametrize(
    ("jobs", "pods"),
    [
        ([job("job-1", 0, "Failed"), job("job-2", 1)], {"job-1": [KILLED], "job-2": [CREATING]}),
        ([job("job-1")], {"job-1": [KILLED, CREATING]}),
    ],
    ids=["another-job", "the-same-job"],
)
def test_what_ended_an_earlier_start_is_no_reason(jobs, pods):
    """The pod that is made now is what is waited for, and it is in no trouble."""
    cluster = Cluster(*jobs, pods=pods)
    assert (looked_at(Client(), cluster), cluster.deleted) == ([], [])


def test_without_a_job_of_its_own_the_worker_is_named():
    """One of an earlier start that has ended is none."""
    ((_, message),) = looked_at(Client(), Cluster(job("job-1", 0, "Failed"), warning=FULL))
    assert message.endswith("the worker has made no Job for it")


def test_a_running_run_whose_next_pod_does_not_come_is_ended(monkeypatch):
    """From when its pod was first missed; one whose pod came in time is not, however long ago it was."""
    now = 1000.0
    monkeypatch.setattr("flows.commands.attend.time.monotonic", lambda: now)
    client = Client(9_999, StateType.RUNNING)
    cluster = Cluster(job("job-1"), pods={"job-1": [RUNNING]}, warning=FULL)
    attendant = Attendant(cluster, 20)
    for pods, seconds in (([RUNNING], 0), ([KILLED], 15), ([RUNNING], 15), ([KILLED], 15), ([KILLED], 15)):
        now += seconds
        cluster.pods_of["job-1"] = pods
        attendant.look_at(client, client.run)
        assert client.set == []
    now += 6
    attendant.look_at(client, client.run)
    assert client.set == [("FAILED", f"its pod was lost, and no other one started within 21 s: {FULL}")]
    assert cluster.deleted == ["job-1"]
