"""The systemd unit that `slipway start --print-unit` prints."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.__main__ import main
from settings.places import VARIABLES

ODD = 'a folder of 100% "ü" for $HOME\\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose name has every sign that means something in a unit."""
    made = tmp_path / ODD
    made.mkdir()
    monkeypatch.chdir(made)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELS_ROOT", "models of mine")
    monkeypatch.setenv("STAGE_PORT", "18502")
    return made


def unquoted(text: str) -> list[str]:
    """Take a line of a unit apart, as systemd.syntax says: quotes, escapes, and %% for %."""
    words: list[str] = []
    signs = iter(text.replace("%%", "%"))
    for sign in signs:
        if sign == '"':
            word = ""
            while (sign := next(signs)) != '"':
                word += next(signs) if sign == "\\" else sign
            words.append(word)
        else:
            assert sign == " ", text
    return words


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Give the unit that the command prints."""
    assert main(["start", "--print-unit", *options]) == 0
    return capsys.readouterr().out


def test_the_unit_says_what_to_run_and_where(folder, capsys):
    """Absolute paths, each word as systemd reads it; the places of the environment, and no other variable."""
    text = printed(capsys, "--name", "letters")
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string("\n".join(line for line in text.splitlines() if not line.startswith("Environment=")))
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Install"]["WantedBy"] == "default.target"
    service = parser["Service"]
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    assert service["WorkingDirectory"].replace("%%", "%") == str(folder)
    for key, command in (("ExecStart", "start"), ("ExecStop", "stop")):
        words = [word.replace("$$", "$") for word in unquoted(service[key])]
        assert words == [sys.executable, "-P", "-m", "flows", command, "--name", "letters"]
    environment = [
        unquoted(line.partition("=")[2]) for line in text.splitlines() if line.startswith("Environment=")
    ]
    assert environment == [[f"MODELS_ROOT={folder / 'models of mine'}"], ["STAGE_PORT=18502"]]
    assert list(folder.iterdir()) == [], "nothing is made or started"


def test_systemd_finds_nothing_wrong_with_it(folder, capsys, tmp_path):
    """Where systemd's own tool is there, it says so; the test above reads the unit everywhere."""
    unit = tmp_path / "slipway.service"
    unit.write_text(printed(capsys))
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        [tool, "--user", "--man=no", "verify", str(unit)],
        env=os.environ | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_path_that_no_unit_can_name_is_refused(tmp_path, monkeypatch, capsys):
    """A line break would begin another setting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS_ROOT", "two\nlines")
    assert main(["start", "--print-unit"]) == 2
    assert "a unit of systemd cannot name" in capsys.readouterr().err
