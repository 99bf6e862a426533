"""Standard streams that are closed, broken or full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = sys.executable


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which a model has a long history."""
    event = {"event": "exported", "version": 1, "digest": "d", "at": "then", "who": "me", "why": "x" * 500}
    (tmp_path / "models" / "mnist").mkdir(parents=True)
    lines = "".join(f"{json.dumps(event)}\n" for _ in range(1_000))  # more than a pipe holds
    (tmp_path / "models" / "mnist" / "history.jsonl").write_text(lines)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(line: str) -> tuple[int, str]:
    """Run a line of bash; give the exit code of its first command, and what is said on stderr."""
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["history", "--help"])
@pytest.mark.parametrize("rest", ["| true", "| head -c 1 > /dev/null", ">&-", "2>&- >&-", "<&- >&- 2>&-"])
def test_output_that_nobody_reads(history, command, rest):
    """A command ends quietly and well where its output is closed, or nobody reads on."""
    assert shell(f"{PYTHON} -m flows {command} {rest}") == (0, "")


def test_output_that_cannot_be_written(history):
    """A command that only tells says in one line that it could not, and ends with 3."""
    told = "slipway: the standard output cannot be written: No space left on device\n"
    assert shell(f"{PYTHON} -m flows history > /dev/full") == (3, told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rest", "steps"), [(">&-", 203), ("> /dev/full", 201), ("| true", 201), ("2>&- >&-", 203)]
)
def test_a_delivery_goes_by_what_it_did(delivered, rest, steps):
    """A delivery whose last words are lost ends as it would have; where a stream is closed it trains, too."""
    script = Path(__file__).resolve().parents[2] / "flows" / "deliver.py"
    environ = " ".join(f"{name}={delivered.environ[name]}" for name in PLACES)
    code, said = shell(
        f"cd {delivered.root} && {environ} {PYTHON} {script} --classifier.steps {steps} {rest}"
    )
    assert code == 0
    assert ("Traceback" in said, "defect" in said) == (False, False)
    assert delivered.served_version() == 2


PLACES = ("MODELS_ROOT", "DATA_ROOT", "STAGE_PORT", "PRODUCTION_PORT", "PREFECT_API_URL")
