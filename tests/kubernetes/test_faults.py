"""What becomes of a run when its pod, the worker or the Prefect server goes away under it."""

from __future__ import annotations

import time

import pytest

LONG = {"steps": 15_000, "display_steps": 500, "checkpoint_seconds": 0.5}
"""A training of some twenty seconds, with a checkpoint twice a second."""
IN_THE_MIDDLE = "classifier: step 2,000"
RESUMED = "classifier: goes on from step"


def in_the_middle(install, seed, **more):
    """Start a delivery with a long training, and wait until it is in the middle of it."""
    run = install.deliver(classifier=LONG | {"seed": seed}, **more)
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


def test_a_pod_that_goes_between_stage_and_promotion(delivered, seed):
    """The verdict is kept, and the run that starts again promotes by it."""
    before = delivered.served_version()
    run = delivered.deliver(classifier={"seed": seed})
    run.wait_for("verdict: all")
    delivered.kubectl("delete", "pod", *run.pods(), "--grace-period=0", "--force")
    run.done()
    assert delivered.served_version() > before


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"image": "slipway/flow:no-such-tag"}, "no-such-tag"),
        ({"data_claim": "no-such-claim"}, 'persistentvolumeclaim "no-such-claim" not found'),
        ({"memory_limit": "900Gi", "memory_request": "900Gi"}, "exceeded quota"),
    ],
    ids=["image", "claim", "quota"],
)
def test_a_run_that_cannot_start_says_why(delivered, variables, why):
    """Within the deadline and the time of a look at it, its state has the reason, and its Job is gone."""
    started = time.monotonic()
    run = delivered.deliver(variables=variables)
    state, message = run.end(90)
    assert state == "FAILED"
    assert message.startswith("it did not start within 2")
    assert why in message
    assert time.monotonic() - started < 60
    delivered.eventually(lambda: not run.pods(), "the pod of the Job is gone")
