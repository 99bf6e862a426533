"""Deliveries that are killed at random moments, while production is asked without a pause."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_at_random.py")


COUNT = 10


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [7, 8])
def test_killed_deliveries_harm_nothing(seed, prefect_api, data_root, tmp_path):
    """After each kill the next run ends well; production answers throughout, and serves what is delivered."""
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPT),
            "--count",
            str(COUNT),
            "--seed",
            str(seed),
            "--data-root",
            str(data_root),
        ],
        env=os.environ | {"PREFECT_API_URL": prefect_api, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers, failures = re.search(r"([\d,]+) answers of production .*, (\d+) failures", done.stdout).groups()
    assert int(failures) == 0
    assert int(answers.replace(",", "")) > 100 * COUNT
