"""Every benchmark prints its table, here of a few steps and rounds: what it measures is not looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# With the codes that a run may end with: 1 where a figure is lower than required, as after a few steps.
SMALL = {
    "quality": (["--seeds", "1", "--steps", "20"], {0, 1}),
    "training_speed": (["--rounds", "1", "--steps", "5"], {0, 1}),
    "serving_speed": (["--rounds", "1", "--seconds", "0.5"], {0, 1}),
    "serving_attacks": (["--seconds", "0.2"], {0}),
    "statistics_speed": (["--loop-rounds", "1", "--repeats", "1"], {0, 1}),
    "unchanged_run": (["--rounds", "1", "--data", str(ROOT / "build" / "test-data")], {0}),
}


def test_make_benchmarks_runs_all_of_them():
    """The target names every file that is a benchmark of its own."""
    (named,) = re.findall(r"^BENCHMARKS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    files = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("*.py")}
    helpers = {"serving_load", "serving_rival"}  # the clients of serving_speed, and what it is compared with
    assert set(named.split()) == set(SMALL) == files - helpers


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_its_table(name, tmp_path, data_root):
    """The command of the README, with small numbers, ends without a traceback."""
    arguments, codes = SMALL[name]
    environ = os.environ | {
        "DATA_ROOT": str(data_root),
        "MODELS_ROOT": str(tmp_path / "models"),
        "PRODUCTION_PORT": str(free_port()),
    }
    script = Path("tests/benchmarks") / f"{name}.py"
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert (done.returncode in codes, "Traceback" in done.stderr) == (True, False), done.stdout + done.stderr
    head, rule, *rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert re.fullmatch(r"[|:-]+", rule), rule
    assert rows
    assert {row.count("|") for row in rows} == {head.count("|")}
