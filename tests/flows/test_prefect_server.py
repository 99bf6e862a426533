"""Prefect's own server with the locked packages: its services, and what README and docs use of it.

All services are on, and most of them look every second or two. Nothing is waited for but what has to come.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.conftest import free_port, prefect_server

pytestmark = pytest.mark.slow

SERVICES = "PREFECT_SERVER_SERVICES"
QUICK = {
    f"{SERVICES}_SCHEDULER_LOOP_SECONDS": "2",
    f"{SERVICES}_LATE_RUNS_LOOP_SECONDS": "2",
    f"{SERVICES}_LATE_RUNS_AFTER_SECONDS": "1",
    f"{SERVICES}_PAUSE_EXPIRATIONS_LOOP_SECONDS": "2",
    f"{SERVICES}_CANCELLATION_CLEANUP_LOOP_SECONDS": "2",
    f"{SERVICES}_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "2",
    f"{SERVICES}_FOREMAN_LOOP_SECONDS": "2",
    f"{SERVICES}_REPOSSESSOR_LOOP_SECONDS": "2",
    f"{SERVICES}_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
    f"{SERVICES}_DB_VACUUM_LOOP_SECONDS": "2",
    f"{SERVICES}_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "2",
    f"{SERVICES}_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    f"{SERVICES}_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # As docker/compose.yaml and the manifests set them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_UI_API_URL": "/api",
}


@dataclass
class Server:
    """A Prefect server with the deployments and automations of docker compose."""

    url: str
    home: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask its API as the UI does; it answers 503 while its database is locked."""
        deadline = time.monotonic() + 120
        while True:
            answer = httpx.request(method, f"{self.url}{path}", json=body, timeout=60)
            if answer.status_code != 503:
                break
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def command(self, *words: str, code: int = 0) -> str:
        """Run a command against it, which has to end with a code; give what it printed."""
        environ = os.environ | {"PREFECT_API_URL": self.url, "COLUMNS": "200", "PREFECT_HOME": str(self.home)}
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.home, env=environ, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def deployment(self, flow: str) -> dict[str, Any]:
        """Give a deployment by the name of its flow."""
        return dict(self.ask("GET", f"/deployments/name/{flow}/compose"))

    def new_run(self, *states: dict[str, Any]) -> str:
        """Make a run of `rollback/compose`, which nobody takes, and bring it into states; give its id."""
        deployment = self.deployment("rollback")
        run = self.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
        for state in states:
            body = {"state": state, "force": True}
            self.ask("POST", f"/flow_runs/{run['id']}/set_state", body)
        return str(run["id"])

    def state(self, run: str) -> dict[str, Any]:
        """Give the state of a flow run."""
        return dict(self.ask("GET", f"/flow_runs/{run}")["state"])

    def emit(self, event: str, run: str) -> str:
        """Tell it of an event of a run of the pool compose that is now; give the event's id."""
        pool = {"prefect.resource.id": "prefect.work-pool.compose", "prefect.resource.name": "compose"}
        told = {
            "id": str(uuid.uuid4()),
            "event": event,
            "occurred": datetime.now(UTC).isoformat(),
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
            "related": [pool | {"prefect.resource.role": "work-pool"}],
        }
        self.ask("POST", "/events", [told])
        return str(told["id"])

    def events(self, name: str) -> list[str]:
        """Give the ids of the events of a name."""
        until = datetime.now(UTC) + timedelta(days=1)
        occurred = {"since": "2020-01-01T00:00:00Z", "until": until.isoformat()}
        found = self.ask(
            "POST", "/events/filter", {"filter": {"occurred": occurred, "event": {"name": [name]}}}
        )
        return [one["id"] for one in found["events"]]

    def write(self, statement: str, *values: str) -> None:
        """Change its database, as time would."""
        with sqlite3.connect(self.home / "prefect.db", timeout=60) as database:
            database.execute(statement, values)

    def errors(self) -> list[str]:
        """What its log holds of errors, but for a database that was locked: the service comes again."""
        records = re.split(r"^(?=[\d:.]+ \| )", (self.home / "server.log").read_text(), flags=re.MULTILINE)
        told = [one for one in records if re.match(r"[\d:.]+ \| (ERROR|CRITICAL)", one) or "Traceback" in one]
        return [one for one in told if "database is locked" not in one]


def wait_for(holds: Callable[[], Any]) -> Any:
    """Wait until something holds; give it."""
    deadline = time.monotonic() + 200
    while not (found := holds()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, with what `slipway register` registers; its log has to hold no error at the end."""
    home = tmp_path_factory.mktemp("prefect")
    with prefect_server(home, PREFECT_UI_STATIC_DIRECTORY=str(home / "ui"), **QUICK) as url:
        made = Server(url, home)
        said = made.command("flows", "register", "--pool", "compose")
        assert "deployment  deliver/compose" in said
        yield made
    assert made.errors() == []


def test_an_active_schedule_makes_its_run(server):
    """The weekly delivery, once it is turned on, is there as runs on Mondays at 3."""
    deployment = server.deployment("deliver")
    (schedule,) = deployment["schedules"]
    asked = {"flow_runs": {"deployment_id": {"any_": [deployment["id"]]}}}
    assert server.ask("POST", "/flow_runs/filter", asked) == []
    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    server.ask("PATCH", path, {"active": True})
    runs = wait_for(lambda: server.ask("POST", "/flow_runs/filter", asked))
    starts = [datetime.fromisoformat(run["expected_start_time"]) for run in runs]
    assert {(each.isoweekday(), each.hour, each.minute) for each in starts} == {(1, 3, 0)}
    assert {(run["state"]["type"], run["auto_scheduled"]) for run in runs} == {("SCHEDULED", True)}


def test_a_run_that_nobody_takes_is_late(server):
    """The service of late runs marks what did not start in time."""
    run = server.new_run()
    wait_for(lambda: server.state(run)["name"] == "Late")


def test_a_crashed_run_starts_again(server):
    """The automation of deployments/automations.json, from the event of the crash."""
    run = server.new_run({"type": "RUNNING"}, {"type": "CRASHED", "message": "out of memory"})
    state = wait_for(lambda: (now := server.state(run))["type"] == "SCHEDULED" and now)
    assert state["message"] == "It crashed and starts again."


def test_a_run_without_a_sign_of_life_is_ended(server):
    """The automation of deployments/automations-compose.json, with Prefect's shortest time for it."""
    (automation,) = [
        one for one in server.ask("POST", "/automations/filter", {}) if one["name"] == "slipway-end-vanished"
    ]
    wanted = {name: automation[name] for name in ("name", "description", "enabled", "trigger", "actions")}
    wanted["trigger"]["within"] = 10
    server.ask("PUT", f"/automations/{automation['id']}", wanted)
    run = server.new_run({"type": "RUNNING"})
    last_sign = 0.0

    def is_ended() -> bool:
        nonlocal last_sign
        # A sign of life that came before the service knew of the change begins nothing.
        if time.monotonic() - last_sign > 30:
            server.emit("prefect.flow-run.heartbeat", run)
            last_sign = time.monotonic()
        return "no sign of life" in (server.state(run)["message"] or "")

    wait_for(is_ended)


def test_a_pause_that_is_over_fails_the_run(server):
    """The service of pause expirations ends a run that nobody resumed in time."""
    past = {"pause_timeout": "2020-01-01T00:00:00Z", "pause_reschedule": True}
    run = server.new_run({"type": "RUNNING"}, {"type": "PAUSED", "state_details": past})
    state = wait_for(lambda: (now := server.state(run))["type"] == "FAILED" and now)
    assert state["message"] == "The flow was paused and never resumed."


def test_a_cancellation_that_nobody_obeys_is_made(server):
    """The service of cancellation ends a run whose process does not answer."""
    run = server.new_run({"type": "RUNNING"}, {"type": "CANCELLING"})
    wait_for(lambda: server.state(run)["type"] == "CANCELLED")


def test_a_worker_that_went_away_is_offline(server):
    """The foreman notices it, and that its work pool has nobody left."""
    beat = {"name": "gone", "heartbeat_interval_seconds": 1}
    server.ask("POST", "/work_pools/compose/workers/heartbeat", beat)

    def status() -> set[str]:
        workers = server.ask("POST", "/work_pools/compose/workers/filter", {})
        return {one["status"] for one in workers if one["name"] == "gone"}

    wait_for(lambda: status() == {"OFFLINE"})
    wait_for(lambda: server.ask("GET", "/work_pools/compose")["status"] == "NOT_READY")


def test_a_lease_that_ran_out_frees_its_slot(server):
    """The slot of a run that died is given back, else no delivery would start any more."""
    server.ask("POST", "/v2/concurrency_limits/", {"name": "one", "limit": 1})
    body = {"slots": 1, "names": ["one"], "mode": "concurrency", "lease_duration": 60}
    lease = server.ask("POST", "/v2/concurrency_limits/increment-with-lease", body)["lease_id"]
    assert server.ask("GET", "/v2/concurrency_limits/one")["active_slots"] == 1
    for name in (f"{lease}.json", "expirations.json"):  # a minute later
        path = server.home / "concurrency_leases" / name
        path.write_text(re.sub(r"\b20\d\d-(?=\d\d-\d\dT)", "2020-", path.read_text()))
    wait_for(lambda: server.ask("GET", "/v2/concurrency_limits/one")["active_slots"] == 0)


def test_events_are_kept_and_cleaned_up(server):
    """The persister writes them, and the vacuum removes those of last year."""
    run = server.new_run({"type": "RUNNING"})
    kept, old = (server.emit("slipway.test", run) for _ in range(2))
    wait_for(lambda: {kept, old} <= set(server.events("slipway.test")))
    server.write("UPDATE events SET occurred = '2020-01-01 00:00:00.000000' WHERE id = ?", old)
    wait_for(lambda: server.events("slipway.test") == [kept])


def test_old_runs_are_cleaned_up(server):
    """The vacuum removes a run that ended long ago, where it is told to."""
    run, kept = (server.new_run({"type": "COMPLETED"}) for _ in range(2))
    server.write("UPDATE flow_run SET end_time = '2020-01-01 00:00:00.000000' WHERE id = ?", run)
    wait_for(lambda: httpx.get(f"{server.url}/flow_runs/{run}").status_code == 404)
    assert server.state(kept)["type"] == "COMPLETED"


FLOW = """
from prefect import flow, get_run_logger, task

@task
def work():
    get_run_logger().info("at work")

@flow(name="small", flow_run_name="small-run")
def small():
    work()

small()
"""


def test_a_run_is_recorded_with_its_tasks_and_its_log(server):
    """The recorder writes the task runs; `flow-run ls`, `logs` and `delete` are those of the documents."""
    (server.home / "small.py").write_text(FLOW)
    server.command("small")
    (run,) = server.ask("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": ["small-run"]}}})

    def tasks() -> list[tuple[str, str]]:
        found = server.ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return [(one["name"].partition("-")[0], one["state_type"]) for one in found]

    wait_for(lambda: tasks() == [("work", "COMPLETED")])
    assert "small-run" in server.command("prefect", "flow-run", "ls")
    wait_for(lambda: "at work" in server.command("prefect", "flow-run", "logs", run["id"]))
    assert "Completed" in server.command("prefect", "flow-run", "inspect", run["id"])
    graph = server.ask("GET", f"/flow_runs/{run['id']}/graph-v2")
    assert [node["kind"] for _, node in graph["nodes"]] == ["task-run"]
    server.command("prefect", "--no-prompt", "flow-run", "delete", run["id"])
    assert httpx.get(f"{server.url}/flow_runs/{run['id']}").status_code == 404


def test_a_worker_takes_a_run_and_the_command_watches_it(server):
    """The worker of docker/compose.yaml, its health, and a run that ends with its reason and code 1."""
    for run in server.ask("POST", "/flow_runs/filter", {}):  # it would take those of the other tests first
        server.ask("DELETE", f"/flow_runs/{run['id']}")
    port = free_port()
    environ = os.environ | {
        "PREFECT_API_URL": server.url,
        "PREFECT_HOME": str(server.home),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        "DATA_ROOT": str(server.home / "data"),
        "MODELS_ROOT": str(server.home / "models"),
        "STAGE_PORT": str(free_port()),
        "PRODUCTION_PORT": str(free_port()),
    }
    words = (
        "worker start --pool compose --type process --name worker --with-healthcheck --install-policy never"
    )
    log = server.home / "worker.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "prefect", *words.split()]
        worker = subprocess.Popen(command, cwd=server.home, env=environ, stdout=out, stderr=out)
    try:
        wait_for(lambda: worker.poll() is not None or "Worker 'worker' started" in log.read_text())
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/health").is_success)
        said = server.command(
            "prefect", "deployment", "run", "rollback/compose", "--watch", "-p", "to=4", code=1
        )
        (run,) = re.findall(r"UUID: (\S+)", said)
        assert "version 4" in server.state(run)["message"], server.state(run)
    finally:
        worker.kill()  # how it stops in order is not looked at here
        worker.wait(60)


def test_a_run_is_cancelled_by_hand(server):
    """`prefect flow-run cancel` of the runbook takes a waiting run away."""
    said = server.command("prefect", "deployment", "run", "rollback/compose")
    (run,) = re.findall(r"UUID: (\S+)", said)
    server.command("prefect", "flow-run", "cancel", run)
    wait_for(lambda: server.state(run)["type"] in ("CANCELLED", "CANCELLING"))


def test_registered_a_second_time_a_schedule_stays_on(server):
    """Deployments, work pool and automations are brought up to date; the version is told."""
    assert "automation  slipway-end-vanished" in server.command("flows", "register", "--pool", "compose")
    assert server.command("prefect", "version").startswith("Version:")


SCREENS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "the dashboard": [
        ("/flow_runs/count", {}),
        ("/ui/task_runs/dashboard/counts", {"task_runs": {"start_time": {"after_": "2026-01-01T00:00:00Z"}}}),
        ("/task_runs/count", {}),
        ("/work_pools/filter", {}),
        ("/events/count-by/day", {"filter": {"occurred": {"since": "2026-01-01T00:00:00Z"}}}),
    ],
    "the runs": [
        ("/flow_runs/paginate", {"limit": 10}),
        ("/ui/flow_runs/history", {"limit": 10}),
        ("/ui/flow_runs/count-task-runs", {"flow_run_ids": []}),
        ("/saved_searches/filter", {}),
    ],
    "the flows": [("/flows/paginate", {}), ("/ui/flows/count-deployments", {"flow_ids": []})],
    "the deployments": [("/deployments/paginate", {}), ("/ui/flows/next-runs", {"flow_ids": []})],
    "the work pools": [("/work_pools/compose/queues/filter", {}), ("/work_pools/compose/workers/filter", {})],
    "the rest": [
        ("/automations/filter", {}),
        ("/artifacts/filter", {}),
        ("/logs/filter", {}),
        ("/variables/filter", {}),
        ("/block_documents/filter", {}),
        ("/v2/concurrency_limits/filter", {}),
        ("/concurrency_limits/filter", {}),
    ],
}


@pytest.mark.parametrize("screen", SCREENS)
def test_the_screens_are_answered(server, screen):
    """What a screen of the UI asks the API is answered without an error."""
    for path, body in SCREENS[screen]:
        server.ask("POST", path, body)
    for path in ("/admin/version", "/admin/settings", "/ready"):
        server.ask("GET", path)


def test_the_ui_is_served(server):
    """The page, its scripts and where it finds the API."""
    root = server.url.removesuffix("/api")
    asked = {"accept": "text/html"}
    page = httpx.get(f"{root}/dashboard", headers=asked, follow_redirects=True).raise_for_status().text
    (script, *_) = re.findall(r'src="(/\S+\.js)"', page)
    assert (
        httpx.get(f"{root}{script}").raise_for_status().headers["content-type"].startswith("text/javascript")
    )
    assert httpx.get(f"{root}/ui-settings").raise_for_status().json()["api_url"] == "/api"


def test_the_form_of_a_delivery(server):
    """It has a section for each stage; the schema that it is made of refuses a value out of bounds."""
    deployment = server.deployment("deliver")
    schema = deployment["parameter_openapi_schema"]
    assert {"data", "classifier", "concept", "judging", "serving"} <= set(schema["properties"])
    for steps in (2_000, 0):
        body = {"schema": schema, "values": {"classifier": {"steps": steps}}}
        assert server.ask("POST", "/ui/schemas/validate", body)["valid"] == (steps > 0)
    refused = httpx.post(
        f"{server.url}/deployments/{deployment['id']}/create_flow_run",
        json={"parameters": {"classifier": {"steps": 0}}},
    )
    assert refused.status_code in (409, 422), json.dumps(refused.json())[:500]


def test_every_service_runs(server):
    """None was turned off for these tests: the one that is off is so by default."""
    services = server.ask("GET", "/admin/settings")["server"]["services"]
    assert len(services) > 10
    assert {name for name, one in services.items() if not one["enabled"]} == {"event_logger"}
