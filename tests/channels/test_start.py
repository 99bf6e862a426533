"""start, stop, restart and status of this machine's channels, by their commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.__main__ import main
from settings.places import read_places
from tasks.channels import inspection, process
from tasks.channels.files import ChannelFiles
from tasks.release.document import Wanted
from tasks.workplace import Workplace, open_workplace
from tests.channels.conftest import free_port


@pytest.fixture
def place(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The workplace of the commands: releases 1 and 2 are promoted, and nothing was served yet."""
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS_ROOT", str(models))
    for channel in ("STAGE", "PRODUCTION"):
        monkeypatch.setenv(f"{channel}_PORT", str(free_port()))
    made = open_workplace(read_places(os.environ, tmp_path), "mnist")
    yield made
    for channel in ("stage", "production"):
        made.backend.remove(channel)


def put(place: Workplace, wanted: Wanted) -> int:
    """Bring production to serve it; give its process."""
    place.backend.put("production", wanted, should_stop=lambda: False)
    return pid_of(place)


def pid_of(place: Workplace) -> int:
    """Give the process of production."""
    backend: Any = place.backend
    found = inspection.inspect(
        "127.0.0.1", backend.ports["production"], ChannelFiles(backend.folder, "production")
    )
    assert found.kind == "ours"
    return found.pid


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """Run a command; give what it says."""
    assert main(list(words)) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_start_brings_the_very_same_back_after_a_stop(place, capsys):
    """Version and limits; stopping and starting twice changes nothing, and status says where one is."""
    wanted = Wanted(2, max_images=70)
    pid = put(place, wanted)
    assert "version 2 of mnist stopped" in said(capsys, "stop")
    assert not process.is_running(pid)
    assert "production  nothing was running" in said(capsys, "stop")
    assert "production  nothing: version 2 was stopped (slipway start)" in said(capsys, "status", code=3)
    assert place.backend.current("production") is None
    assert "version 2 of mnist is served at http" in said(capsys, "start")
    assert place.backend.current("production").wanted == wanted
    assert place.backend.current("production").healthy
    pid = pid_of(place)
    assert "version 2 of mnist is served already" in said(capsys, "start")
    assert pid_of(place) == pid


def test_start_after_a_reboot(place, capsys):
    """What the document wants is served again; so is a stage that was up."""
    pids = [put(place, Wanted(1))]
    place.backend.put("stage", Wanted(2), should_stop=lambda: False)
    pids += inspection.servers_of(ChannelFiles(place.backend.folder, "stage").document)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    while any(map(process.is_running, pids)):
        pass
    assert re.findall(r"(\w+) +version (\d) of mnist is served", said(capsys, "start")) == [
        ("production", "1"),
        ("stage", "2"),
    ]
    assert "stage       version 2 of mnist stopped" in said(capsys, "stop")
    assert "stage       nothing to start" in said(capsys, "start")


def test_start_without_a_document_follows_the_history(place, capsys):
    """The version that was served last; where there was none, there is nothing to start."""
    assert "production  nothing to start: no version of mnist was in production" in said(capsys, "start")
    for version in (1, 2):
        place.registry.history.append("promoted", version, f"digest {version}", "a test")
    assert "production  version 2 of mnist is served" in said(capsys, "start")


def test_a_stopped_version_is_the_one_that_a_rollback_leaves(place, capsys):
    """Also where the history does not know of it: a run was killed after its rollout."""
    place.registry.history.append("promoted", 1, place.registry.digest(1), "a test")
    put(place, Wanted(2))
    said(capsys, "stop")
    assert place.version_in_production() == 2
    assert "version 1 of mnist is in production" in said(capsys, "rollback")
    said(capsys, "stop")
    assert "production  version 1 of mnist is served" in said(capsys, "start")


def test_a_start_that_fails_leaves_what_is_on_record(place, capsys, models, tmp_path):
    """Once the release is there again, the same start goes well."""
    put(place, Wanted(2, max_images=70))
    said(capsys, "stop")
    (models / "mnist" / "2").rename(tmp_path / "2")
    assert "version 2 cannot be served" in said(capsys, "start", code=3)
    assert place.backend.current("production") is None
    shutil.move(tmp_path / "2", models / "mnist" / "2")
    said(capsys, "start")
    assert place.backend.current("production").wanted == Wanted(2, max_images=70)


def test_restart_brings_new_servers(place, capsys):
    """They serve the same, the ones before have ended; without one it starts."""
    pid = put(place, Wanted(1, max_images=70))
    assert "production  version 1 of mnist is served" in said(capsys, "restart")
    assert pid_of(place) != pid
    assert not process.is_running(pid)
    assert place.backend.current("production").wanted == Wanted(1, max_images=70)
    assert place.backend.current("production").healthy


def test_restart_is_for_servers_of_this_machine(place, capsys, monkeypatch):
    """Those that somebody else keeps are restarted there."""
    monkeypatch.setenv("BACKEND", "external")
    assert "slipway: BACKEND=external: restart the servers where they are kept" in said(
        capsys, "restart", code=2
    )


def test_a_stop_beside_another_user_s_server_says_whose_it_is(place, capsys, monkeypatch):
    """Exit 3, nothing deleted, the server answers on; a start and a delivery's check say the same."""
    pid = put(place, Wanted(1))
    files = ChannelFiles(place.backend.folder, "production")
    before = files.document.read_bytes(), files.note.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 65_533)
        for command in ("stop", "start", "restart"):
            told = said(capsys, command, code=3)
            assert f"is served by process {pid} of the user " in told
            assert "version 1" not in told
        assert "version 1 of mnist at" in said(capsys, "status")
    assert (files.document.read_bytes(), files.note.read_bytes()) == before
    assert pid_of(place) == pid


def test_status_from_another_folder_tells_who_is_on_the_port(place, capsys, models, tmp_path, monkeypatch):
    """And which models' root it is that is served there."""
    pid = put(place, Wanted(1))
    (tmp_path / "elsewhere").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "elsewhere")
        patch.delenv("MODELS_ROOT")
        (line,) = [line for line in said(capsys, "status", code=3).splitlines() if "production" in line[:10]]
    document = models / "channels" / "mnist" / "production.json"
    assert line.startswith("production  nothing: port ")
    assert f"held by the model server of {document} (process {pid})" in line
    assert f"set MODELS_ROOT to {models}, whose server it is" in line


def test_what_the_unit_runs_brings_production_up(place, capsys):
    """In a bare environment, as systemd gives it."""
    put(place, Wanted(2))
    said(capsys, "stop")
    unit = said(capsys, "start", "--print-unit")
    values = dict(re.findall(r"^(ExecStart|ExecStop|WorkingDirectory)=(.*)$", unit, re.M))
    environ = dict(line.split("=", 1) for line in re.findall(r'^Environment="(.*)"$', unit, re.M))
    for key, serves in (("ExecStart", True), ("ExecStop", False)):
        words = re.findall(r'"([^"]*)"', values[key])
        done = subprocess.run(
            words, cwd=values["WorkingDirectory"], env=environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (place.backend.current("production") is not None) is serves
