"""A delivery through docker compose: from empty volumes to production's answer, and what follows it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time

import pytest

from tests.compose.conftest import Composed

IMAGES = ("flow", "serve")

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

BROUGHT = {"mnist", "fashion-mnist", "blank"}


@pytest.fixture
def delivered(composed: Composed) -> Composed:
    """The containers, with a version in production."""
    if composed.ask("production").status_code != 200:
        assert composed.deliver().code == 0
    return composed


def test_from_empty_volumes_to_an_answer_of_production(composed):
    """The documented commands end with version 1 in production, judged through the stage."""
    assert [composed.ask(channel).status_code for channel in ("stage", "production")] == [503, 503]
    run = composed.deliver()
    assert (run.code, run.message) == (0, ""), run
    assert {"train-classifier", "train-concept", "export", "stage", "judge", "promote", "report"} <= run.ran
    assert composed.served_version() == 1
    assert composed.ask("stage").status_code == 503, "the stage serves nothing any more"
    receipt = json.loads(composed.in_service("production", "cat", "/models/receipts/mnist/1-1/receipt.json"))
    assert (receipt["outcome"], receipt["settings"]["classifier"]["steps"]) == ("promoted", 200)


def test_a_second_delivery_computes_nothing(delivered):
    """Everything is taken from the volumes, and production is only probed."""
    before = delivered.served_version()
    run = delivered.deliver()
    assert run.code == 0, run
    fetched = {f"fetch-dataset {name}" for name in BROUGHT}
    for name in (*fetched, "train-classifier", "train-concept", "export", "judge"):
        assert run.tasks[name] == "Cached", name
    assert delivered.served_version() == before


def test_a_failed_gate_leaves_production_as_it_is(delivered):
    """The command ends with 1, and the state of the run names gate, measured and required."""
    before = delivered.served_version()
    run = delivered.deliver(judging={"min_accuracy": 0.9999})
    assert run.code == 1
    assert "accuracy: measured 0." in run.message
    assert "required ≥ 0.9999" in run.message
    assert delivered.served_version() == before


def test_rollback_puts_the_version_before_back(delivered):
    """A new version is swapped in by the same server, and the one before comes back by rollback/compose."""
    before = delivered.served_version()
    started = delivered.in_service("production", "cat", "/proc/1/stat").split()[21]
    run = delivered.deliver(classifier={"seed": secrets.randbelow(2**31)}, judging={"champion": False})
    assert run.code == 0, run
    assert delivered.served_version() == before + 1
    assert delivered.run("rollback/compose", why="a test").code == 0
    assert delivered.served_version() == before
    assert delivered.in_service("production", "cat", "/proc/1/stat").split()[21] == started
    history = delivered.in_service("worker", "tail", "-n", "1", "/models/mnist/history.jsonl")
    event = json.loads(history)
    assert (event["event"], event["version"], event["why"]) == ("rolled back", before, "a test")
    assert event["who"].startswith("flow run ")
    assert event["who"].endswith(" of the deployment rollback/compose")


def test_the_report_and_the_log_are_taken_out(delivered, tmp_path):
    """The documented commands copy the report of a version, and print the log of the runs."""
    delivered.call("cp", "worker:/models/receipts/mnist/1-1/report.html", str(tmp_path))
    assert "<html" in (tmp_path / "report.html").read_text()
    assert "Flow run" in delivered.call("logs", "worker", "--no-log-prefix").stdout


def test_production_comes_back_by_itself(delivered):
    """A server that dies is started again, and serves what its document wants."""
    before = delivered.served_version()
    delivered.in_service("production", "python", "-c", "import os; os.kill(-1, 9)", check=False)
    deadline = time.monotonic() + 30
    while not delivered.answers(before):
        assert time.monotonic() < deadline, "production does not come back"
        time.sleep(0.2)
    status = delivered.in_service("worker", "slipway", "status")
    assert f"version {before} of mnist at http://production:8501: well" in status


def test_a_stage_that_is_away_is_told_before_anything_is_trained(delivered):
    """The run fails at once, and says what to start."""
    delivered.call("stop", "stage")
    run = delivered.deliver(classifier={"seed": secrets.randbelow(2**31)})
    delivered.call("up", "--wait")
    assert run.code == 1
    assert "no model server answers at http://stage:8501, the URL of stage: start it" in run.message
    assert run.tasks == {}


def test_what_is_registered_twice_is_there_once(delivered):
    """A worker that starts again registers its deployments once more; a schedule that is on stays on."""
    (deliver,) = [
        each for each in delivered.prefect("POST", "/deployments/filter", json={}) if each["schedules"]
    ]
    (schedule,) = deliver["schedules"]
    assert not schedule["active"]
    path = f"/deployments/{deliver['id']}/schedules/{schedule['id']}"
    delivered.prefect("PATCH", path, json={"active": True})
    delivered.call("restart", "worker")
    delivered.call("up", "--wait")
    (schedule,) = delivered.prefect("GET", f"/deployments/{deliver['id']}")["schedules"]
    assert schedule["active"]
    path = f"/deployments/{deliver['id']}/schedules/{schedule['id']}"
    delivered.prefect("PATCH", path, json={"active": False})
    names = [each["name"] for each in delivered.prefect("POST", "/deployments/filter", json={})]
    pools = [each["name"] for each in delivered.prefect("POST", "/work_pools/filter", json={})]
    automations = [each["name"] for each in delivered.prefect("POST", "/automations/filter", json={})]
    assert (names, pools) == (["compose", "compose"], ["compose"])
    assert sorted(automations) == ["slipway-end-vanished", "slipway-restart-crashed"]


@pytest.mark.parametrize("service", ["server", "worker", "stage", "production"])
def test_nobody_is_root(composed, service):
    """Each service runs as a plain user without capabilities, who writes to volumes and /tmp alone."""
    assert composed.in_service(service, "id", "-u").strip() == "10001"
    status = composed.in_service(service, "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Read-only file system" in composed.in_service(service, "touch", "/opt/x", check=False)
    if service in ("stage", "production"):
        assert "Read-only file system" in composed.in_service(service, "touch", "/models/x", check=False)


def test_the_images(composed):
    """They name the revision that they were made from, and run as a plain user; the server's is small."""
    names = [
        f"{os.environ.get('IMAGES', 'slipway')}/{name}:{os.environ.get('TAG', 'dev')}" for name in IMAGES
    ]
    asked = ["docker", "image", "inspect", *names]
    flow, serve = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    revision = composed.in_service("worker", "sh", "-c", "echo $SLIPWAY_REVISION").strip()
    for image in (flow, serve):
        labels = image["Config"]["Labels"]
        assert labels["org.opencontainers.image.revision"] == revision
        assert labels["org.opencontainers.image.title"].startswith("Slipway: ")
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert image["Config"]["User"] == "10001:10001"
    assert 5 * serve["Size"] < flow["Size"]
    for service in ("worker", "production"):
        for python in ("/opt/venv/bin/python", "/usr/bin/python3", "/usr/local/bin/python3"):
            said = composed.in_service(service, "sh", "-c", f"{python} -m pip || true")
            assert "No module named pip" in said or "not found" in said
