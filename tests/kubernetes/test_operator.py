"""What an operator does while a delivery runs in its pod, and what a version that was damaged leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.kubernetes.test_faults import in_the_middle

CUT_OFF = """
import pathlib
model = pathlib.Path("/models/mnist/{version}/assets.extra/model.tflite")
model.write_bytes(model.read_bytes()[:1_000])
"""


def test_a_rollback_waits_for_no_training(delivered, seed):
    """It ends before the delivery does, whose version then stays out of production, with the reason."""
    before = delivered.served_version()
    delivered.deliver(classifier={"seed": seed}).done()
    run = in_the_middle(delivered, seed // 2, steps=30_000)
    delivered.start("rollback", {"why": "it is night"}).done()
    assert "classifier: step 30,000" not in run.said
    assert delivered.served_version() == before
    state, message = run.end()
    assert state == "FAILED"
    assert "did not go into production, which was changed meanwhile" in message
    assert "(it is night)" in message
    assert delivered.served_version() == before


def test_a_suspended_run_goes_on_when_it_is_resumed(delivered, seed):
    """Its pod ends without a promotion, and it stays suspended; resumed, another pod promotes."""
    before = delivered.served_version()
    run = in_the_middle(delivered, seed)
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    details = {"pause_timeout": in_an_hour, "pause_reschedule": True}
    body = {"state": {"type": "PAUSED", "name": "Suspended", "state_details": details}}  # as the UI does
    delivered.prefect("POST", f"/flow_runs/{run.id}/set_state", json=body)
    delivered.eventually(lambda: not run.pods(), f"the end of the pod of {run.id}", 180)
    assert run.read()["state"]["name"] == "Suspended", run.said
    assert delivered.served_version() == before
    delivered.prefect("POST", f"/flow_runs/{run.id}/resume", json={})
    run.done()
    assert delivered.served_version() > before


def test_a_version_that_was_damaged_is_replaced_and_restored(delivered, seed):
    """New pods serve the version before, and status says so; the next delivery restores it."""
    before = delivered.served_version()
    delivered.deliver(classifier={"seed": seed}).done()
    version = delivered.served_version()
    cut = delivered.pod("flow", "python", "-", script=CUT_OFF.format(version=version), volume="models")
    cut.communicate(timeout=60)
    assert cut.returncode == 0
    delivered.kubectl("delete", "pod", "-l", "slipway/channel=production", "--wait")
    delivered.kubectl("rollout", "status", "deployment/mnist-production", "--timeout=120s")
    assert delivered.served_version() == before
    said = delivered.kubectl(
        "exec", "deployment/prefect-worker", "-c", "worker", "--", "slipway", "status", check=False
    )
    assert f"version {version} cannot be served" in said
    delivered.deliver(classifier={"seed": seed}).done()
    assert delivered.served_version() == version
