"""The Makefile's targets with the real environment, and what README does with their results."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import ROOT, SMALL, Place

# What is installed is taken as it is.
INSTALLED = ["-o", ".venv/runtime.stamp", "-o", ".venv/test.stamp"]


def make(folder: Path, *words: str, code: int = 0, **environ: str) -> str:
    """Run make, which has to end with a code; give what it said."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *INSTALLED, *words]
    done = subprocess.run(
        command, cwd=folder, env=told | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone with this environment, in which targets may write."""
    for name in ("flows", "settings", "tasks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_what_a_user_does(judged: Place, copy: Path, prefect_api: str):
    """Deliver with a server that runs, look, ask production as the last lines say, go back, stop, start."""
    settings = {
        f"{stage}__{name}".upper(): str(value).lower() if isinstance(value, bool) else str(value)
        for stage, given in SMALL.items()
        for name, value in given.items()
        if not isinstance(value, list)
    }
    environ = judged.environ | settings | {"PREFECT_API_URL": prefect_api, "PYTHONPATH": str(copy)}
    environ |= {"DATA__OUTLIERS": "fashion-mnist", "DATA__MADE": "blank"}
    said = make(copy, "deliver", **environ)
    (line,) = re.findall(r"^ask it +(curl .+)$", said, flags=re.MULTILINE)
    words = shlex.split(line)
    assert words[0] == "curl"
    asked = subprocess.run([*words, "--silent"], cwd=copy, capture_output=True, text=True, check=True)
    assert '"class_ids"' in asked.stdout
    metrics = words[-1].partition("/v1/")[0] + "/metrics"
    counted = subprocess.run(["curl", "-s", metrics], capture_output=True, text=True, check=True).stdout
    assert "slipway_model_ready 1" in counted
    assert "version 1 of mnist" in make(copy, "status", **environ)
    assert "there is no earlier version" in make(copy, "rollback", code=2, **environ)
    script = [sys.executable, copy / "flows" / "rollback.py", "--to", "1"]
    subprocess.run(script, cwd=copy, env=environ, check=True, capture_output=True)
    make(copy, "stop", **environ)
    make(copy, "start", **environ)
    assert "version 1 of mnist" in make(copy, "status", **environ)
    make(copy, "stop", **environ)
    assert "production  nothing" in make(copy, "status", code=2, **environ)


def test_format_and_docs_write_what_is_checked(copy: Path):
    """A line that is out of form is mended, and docs/settings.md is written as it is here."""
    module = copy / "settings" / "errors.py"
    right = module.read_text()
    module.write_text(right.replace("\nclass ", "\n\n\n\nclass ", 1))
    make(copy, "format")
    assert module.read_text() == right
    make(copy, "docs")
    assert (copy / "docs" / "settings.md").read_text() == (ROOT / "docs" / "settings.md").read_text()
