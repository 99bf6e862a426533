"""The console script's own part: arguments, and what it makes of errors."""

from __future__ import annotations

import io
import os
import sys

import pytest

from flows.__main__ import COMMANDS, main
from settings.places import read_places
from tasks.workplace import open_workplace


def test_a_defect_is_no_failed_gate(monkeypatch, capsys):
    """An error that nobody expected is shown with its traceback, and the exit code is not the gates'."""

    def fail(arguments):
        raise ZeroDivisionError("this is a defect")

    monkeypatch.setattr("flows.commands.status.run", fail)
    assert main(["status"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "slipway: a defect of the program, ZeroDivisionError: this is a defect"


@pytest.mark.parametrize("command", ["status", "history", "start", "stop", "restart", "rollback"])
def test_a_wrong_name_is_one_line(command, capsys, tmp_path, monkeypatch):
    """A name that no model can have is refused before anything is looked at."""
    monkeypatch.chdir(tmp_path)
    assert main([command, "--name", "A B"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("slipway: command line: --name is 'A B', not ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_history_is_readable_on_every_terminal(encoding, tmp_path, monkeypatch):
    """A reason with signs that a terminal lacks is printed with others in their place."""
    monkeypatch.chdir(tmp_path)
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    history = open_workplace(read_places(os.environ, tmp_path), "mnist").registry.history
    history.append("judged", 1, "0" * 64, "accuracy 0.97 ≥ 0.95")
    assert main(["history"]) == 0
    out.flush()
    sign = "≥" if encoding == "utf-8" else ">="
    assert f"accuracy 0.97 {sign} 0.95" in out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("version", ["0", "-1", "one"])
def test_a_version_is_a_positive_number(version, capsys):
    """A rollback to what cannot be a version names the value."""
    with pytest.raises(SystemExit) as ended:
        main(["rollback", "--to", version])
    assert ended.value.code == 2
    assert version in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    """--help tells what a command does, and does nothing."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--namespace", "n"], "slipway: no image is named: give --image"),
        (["--image", "i"], "slipway: no namespace is named: give --namespace, or set NAMESPACE"),
        (["--image", "i", "--namespace", "n"], "slipway: no Prefect server is named: set PREFECT_API_URL"),
        (["--pool", "compose"], "slipway: no Prefect server is named: set PREFECT_API_URL"),
    ],
)
def test_register_says_what_is_missing(arguments, line, capsys, monkeypatch):
    """Jobs need an image and a namespace, processes of a worker neither; both need a server."""
    for name in ("NAMESPACE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["register", *arguments]) == 2
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("command", ["deliver", "rollback"])
def test_a_backend_that_works_in_a_cluster_only_stops_at_once(command, capsys, tmp_path, monkeypatch):
    """One line names the way into the cluster, before Prefect is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKEND", "kubernetes")
    monkeypatch.setattr("flows.commands.deliver.ready_prefect", None)
    assert main([command]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "prefect deployment run deliver/kubernetes" in line
