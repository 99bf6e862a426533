"""Faults around a delivery: each is mended, or told in one line with its remedy, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from settings.errors import Surroundings
from tasks.store.lock import run_lock
from tests.flows.conftest import free_port

DELIVER = str(Path(__file__).resolve().parents[2] / "flows" / "deliver.py")
NOTHING = "http://127.0.0.1:9/api"  # the port of the discard service, which nobody runs


def test_two_runs_at_once(exported):
    """Who comes second says for whom it waits; stopped there it harms nothing, else it computes nothing."""
    first = exported.run(DELIVER)
    first.wait_for("verdict: made for the first time")
    waiting = f"waiting for a delivery (pid {first.process.pid} on "
    second, third = exported.run(DELIVER), exported.run(DELIVER)
    second.wait_for(waiting)
    third.wait_for(waiting)
    os.killpg(second.process.pid, signal.SIGINT)
    assert second.refused(130).startswith("slipway: interrupted")
    assert first.process.poll() is None, "it waited while the first was at work"
    first.done()
    said = third.done()
    assert "Task run 'judge' - Finished in state Cached" in said
    assert exported.events() == [("exported", 1), ("staged", 1), ("judged", 1), ("promoted", 1)]


def test_a_run_with_other_models_waits_for_the_datasets(place, data_root):
    """While another run gathers datasets into the same folder, none is asked for."""
    with run_lock(data_root, what="another delivery"):
        run = place.run(DELIVER)
        run.wait_for(f"waiting for another delivery (pid {os.getpid()} on ")
        os.killpg(run.process.pid, signal.SIGINT)
        assert "waiting for another delivery" in run.refused(130)
    assert "fetch-dataset" not in run.said


@pytest.mark.parametrize("channel", ["stage", "production"])
def test_a_port_held_by_a_stranger(place, channel):
    """The error names the port, who holds it and the variable to set, before anything is trained."""
    variable = f"{channel.upper()}_PORT"
    port = place.environ[variable]
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"],
        cwd=place.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as stranger:
        while not answers(f"http://127.0.0.1:{port}/"):
            assert stranger.poll() is None
        run = place.run(DELIVER)
        line = run.refused(3)
        stranger.terminate()
    assert f"port {port} of {channel} is held by process {stranger.pid}: " in line
    assert line.endswith(f"or set {variable} to a free port")
    assert "made for the first time" not in run.said
    assert place.events() == []


def answers(url: str) -> bool:
    """Tell whether anybody answers there."""
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True


def test_a_prefect_server_that_is_not_there(place):
    """The error names the variable and its value in one line, and nothing is started or made."""
    run = place.run(DELIVER, PREFECT_API_URL=NOTHING)
    line = run.refused(3)
    assert f"no Prefect server answers at PREFECT_API_URL={NOTHING}" in line
    assert run.said.splitlines() == [line]
    assert not place.models.exists()


def test_too_little_room_is_told_before_any_training(place, monkeypatch):
    """The error tells the folder, the bytes that are needed and those that are free."""
    usage = shutil.disk_usage(place.root)._replace(free=1_234_567)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(Surroundings, match=r"1[2-9]\d,\d{3},\d{3} bytes are needed, 1,234,567 are free"):
        place.deliver()
    assert place.events() == []
    assert not (place.models / "store").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Make a small disk of its own."""
    folder = tmp_path / "disk"

    def mount(options: str) -> Path:
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode:
            pytest.skip("this user cannot mount a disk")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_under_a_run(place, disk):
    """It ends with one line and nothing half-written; with room again, the next run goes on."""
    place.write_settings(classifier={"steps": 3_000, "display_steps": 100})
    folder = disk("size=200m")
    models = folder / "models"
    place.environ["MODELS_ROOT"] = str(models)
    run = place.run(DELIVER)
    run.wait_for("classifier: step 300 of")
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    assert run.refused(3).startswith("slipway: No space left on device")
    assert not list(models.rglob(".aside-*"))
    filler.unlink()
    place.run(DELIVER).done()
    place.stop()


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1_000_000))


def test_a_disk_that_cannot_be_written(place, disk):
    """The error names the folder and the variables that name others."""
    folder = disk("size=1m,ro")
    line = place.run(DELIVER, MODELS_ROOT=str(folder / "models")).refused(3)
    assert f"MODELS_ROOT is {folder / 'models'}, where no file can be made (Read-only file system)" in line


def test_the_plain_commands_before_any_delivery(place):
    """They say that there is nothing; status tells it by its exit code, and none is an error."""
    code, said = place.run("-m", "flows", "status").end()
    assert (code, said.split()) == (3, ["stage", "nothing", "production", "nothing"])
    assert "nothing has happened to mnist yet" in place.run("-m", "flows", "history").done()
    assert place.run("-m", "flows", "stop").done().count("nothing was running") == 2
    assert "there is no earlier version of mnist" in place.run("-m", "flows", "rollback").refused(2)


def test_the_plain_commands_with_production_up_crashed_and_stopped(delivered):
    """Status says well, then what is wrong, then nothing; a delivery mends a crash, stop ends everything."""
    status = ("-m", "flows", "status")
    assert re.search(r"production +version 1 of mnist at http://\S+: well", delivered.run(*status).done())
    events = [line.split()[1:3] for line in delivered.run("-m", "flows", "history").done().splitlines()]
    assert events == [["1", event] for event in ("exported", "staged", "judged", "promoted")]

    delivered.kill_production()
    code, said = delivered.run(*status).end()
    assert code == 3
    assert re.search(r"production +no version of mnist at http://\S+: its server is not running", said)
    delivered.run(DELIVER).done()
    assert delivered.served_version() == 1

    # Known by its document, the server is found from another port too.
    said = delivered.run("-m", "flows", "stop", PRODUCTION_PORT=str(free_port())).done()
    assert "version 1 of mnist stopped" in said
    code, said = delivered.run(*status).end()
    assert code == 3
    assert [line.split() for line in said.splitlines()] == [
        ["stage", "nothing"],
        ["production", "nothing:", "version", "1", "was", "stopped", "(slipway", "start)"],
    ]
    document = delivered.models / "channels" / "mnist" / "production.json"
    assert not document.exists(), json.loads(document.read_bytes())
