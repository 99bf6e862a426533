"""The console script's own part: arguments, and what it makes of errors."""

from __future__ import annotations

import pytest

from flows.__main__ import COMMANDS, main


def test_a_defect_is_no_failed_gate(monkeypatch, capsys):
    """An error that nobody expected is shown with its traceback, and the exit code is not the gates'."""

    def fail(arguments):
        raise ZeroDivisionError("this is a defect")

    monkeypatch.setattr("flows.commands.status.run", fail)
    assert main(["status"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "slipway: a defect of the program, ZeroDivisionError: this is a defect"


@pytest.mark.parametrize("command", ["status", "history", "stop", "rollback"])
def test_a_wrong_name_is_one_line(command, capsys, tmp_path, monkeypatch):
    """A name that no model can have is refused before anything is looked at."""
    monkeypatch.chdir(tmp_path)
    assert main([command, "--name", "A B"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("slipway: command line: --serving.name is 'A B', not ")
    assert list(tmp_path.iterdir()) == []


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
