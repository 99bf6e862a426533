"""What becomes of a run when its pod, the worker or the Prefect server goes away under it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

LONG = {"steps": 10_000, "display_steps": 500, "checkpoint_seconds": 0.5}
"""A training of some fifteen seconds, with a checkpoint twice a second."""
IN_THE_MIDDLE = "classifier: step 2,000"
RESUMED = "classifier: goes on from step"


def in_the_middle(install, seed, **changed):
    """Start a delivery with a long training, `changed` or not, and wait until it is in the middle of it."""
    run = install.deliver(classifier=LONG | {"seed": seed} | changed)
    run.wait_for(IN_THE_MIDDLE)
    return run


@pytest.mark.parametrize("how", [["--wait=false"], ["--grace-period=0", "--force"]], ids=["term", "kill"])
def test_a_training_goes_on_in_another_pod(delivered, seed, how):
    """The pod is deleted, in order or without any: the run starts again by itself, and resumes."""
    version = delivered.served_version()
    run = in_the_middle(delivered, seed)
    delivered.kubectl("delete", "pod", *run.pods(), *how)
    run.done()
    assert RESUMED in run.said
    assert run.read()["run_count"] == 2
    assert delivered.served_version() > version


def test_a_run_that_crashes_is_started_again(delivered, seed):
    """The automation of the repository does it, and the training resumes."""
    run = in_the_middle(delivered, seed)
    run.kill_the_engine()
    assert run.end_for_good(starts=2)[0] == "COMPLETED"
    assert RESUMED in run.said


def test_a_run_that_is_cancelled_stays_so(delivered, seed):
    """It ends in order, and no automation takes it for one that crashed."""
    version = delivered.served_version()
    run = in_the_middle(delivered, seed)
    body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    delivered.prefect("POST", f"/flow_runs/{run.id}/set_state", json=body)
    delivered.eventually(lambda: run.state[0] == "CANCELLED", f"the end of {run.id}: {run.state}")
    time.sleep(5)  # longer than the automation takes
    assert (run.state[0], run.read()["run_count"]) == ("CANCELLED", 1)
    assert delivered.served_version() == version


def test_out_of_memory_is_told_and_tried_twice_again(delivered, seed):
    """Crashed at once with that reason; after the third time it stays so."""
    large = {"seed": seed, "hidden_1": 8192, "hidden_2": 8192}  # 300 MB of weights, three times
    run = delivered.deliver(classifier=large, variables={"memory_limit": "700Mi", "memory_request": "700Mi"})
    state, message = run.end_for_good(starts=3)
    assert state == "CRASHED"
    assert "OOMKilled" in message + run.said
    time.sleep(5)  # longer than the automation takes
    assert (run.state[0], run.read()["run_count"]) == ("CRASHED", 3)


def test_the_worker_and_the_server_start_anew(delivered, seed):
    """The run is neither lost nor doubled."""
    before = delivered.served_version()
    run = in_the_middle(delivered, seed)
    pods = run.pods()
    for name in ("prefect-worker", "prefect-server"):
        delivered.kubectl("delete", "pod", "-l", f"app.kubernetes.io/name={name}", "--wait=false")
    run.done()
    assert run.read()["run_count"] == 1
    jobs = delivered.items("jobs", "-l", f"prefect.io/flow-run-id={run.id}")
    assert len(jobs) == len(pods) == 1
    assert delivered.served_version() > before


def test_the_server_and_the_pod_of_a_run_start_anew(delivered, seed):
    """As when the node restarts: the run still holds the slot of its deployment, and goes on."""
    run = in_the_middle(delivered, seed)
    (server,) = delivered.items("pods", "-l", "app.kubernetes.io/name=prefect-server")
    names = [server["metadata"]["name"], *run.pods()]
    delivered.kubectl("delete", "pod", *names, "--grace-period=0", "--force")
    run.done()
    assert RESUMED in run.said
    assert run.read()["run_count"] == 2


def test_a_run_whose_next_pod_does_not_start_says_why(delivered, seed):
    """The pod is lost, and there is no room for another one: the run does not stay Running for ever."""
    run = in_the_middle(delivered, seed)
    delivered.kubectl("patch", "resourcequota", "slipway", "-p", '{"spec": {"hard": {"pods": "0"}}}')
    try:
        delivered.kubectl("delete", "pod", *run.pods(), "--wait=false")
        state, message = run.end(120)
    finally:
        delivered.make("manifests")
    assert state == "FAILED"
    assert message.startswith("its pod was lost, and no other one started within 2")
    assert "exceeded quota: slipway" in message


def test_a_pod_that_goes_between_stage_and_promotion(delivered, seed):
    """The verdict is kept, and the run that starts again promotes by it."""
    before = delivered.served_version()
    run = delivered.deliver(classifier={"seed": seed})
    run.wait_for(" gates passed")
    delivered.kubectl("delete", "pod", *run.pods(), "--grace-period=0", "--force")
    run.done()
    assert run.read()["run_count"] == 2
    assert delivered.served_version() > before


@pytest.fixture
def unbound(install) -> Iterator[None]:
    """A claim, by that name, for which there is no volume."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "unbound"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "no-such-class",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    install.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    yield
    install.kubectl("delete", "pvc", "unbound", "--wait=false")


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"image": "slipway/flow:no-such-tag"}, "no-such-tag"),
        ({"data_claim": "no-such-claim"}, 'persistentvolumeclaim "no-such-claim" not found'),
        ({"data_claim": "unbound"}, "unbound immediate PersistentVolumeClaims"),
        ({"memory_limit": "900Gi", "memory_request": "900Gi"}, "exceeded quota"),
    ],
    ids=["image", "no-claim", "claim", "quota"],
)
def test_a_run_that_cannot_start_says_why(delivered, unbound, variables, why):
    """Within the deadline and the time of a look at it, its state has the reason, and its Job is gone."""
    started = time.monotonic()
    run = delivered.deliver(variables=variables)
    state, message = run.end(90)
    assert state == "FAILED"
    assert message.startswith("it did not start within 2")
    assert why in message
    assert time.monotonic() - started < 60
    delivered.eventually(lambda: not run.pods(), "the pod of the Job is gone")
