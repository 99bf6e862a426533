"""The scripts, called with a Python that has none of the packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import ROOT

SCRIPTS = {"deliver": "deliver", "rollback": "rollback", "__main__": "env"}  # and the target that each names


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the scripts, as in a clone in which nothing was made yet."""
    shutil.copytree(ROOT / "flows", tmp_path / "flows")
    return tmp_path


def call(python: str | Path, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script without any packages, from another folder; the package by its name, from its own."""
    command, folder = [python, "-S", script, *arguments], "/"
    if script.stem == "__main__":
        command, folder = [python, "-S", "-m", "flows", *arguments], str(script.parents[1])
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SCRIPTS)
def test_without_an_environment_one_line_names_the_command(copy, name):
    """No traceback: what is missing, and the target that installs it."""
    done = call(sys.executable, copy / "flows" / f"{name}.py")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    assert line.startswith("slipway: ")
    assert f"use `make {SCRIPTS[name]}`" in line


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_environment_beside_the_script_is_used(copy, name):
    """The script goes on in it with the same arguments, and its exit code is the command's."""
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    python.chmod(0o755)
    script = copy / "flows" / f"{name}.py"
    done = call(sys.executable, script, "--why", "two words")
    assert (done.returncode, done.stdout.splitlines()) == (7, [str(script), "--why", "two words"])


def test_a_half_made_environment_is_told_too(copy):
    """An environment in which the packages are not there yet does not call itself again and again."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy / ".venv"], check=True)
    done = call(sys.executable, copy / "flows" / "deliver.py")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, "use `make deliver`" in line) == (3, True)
