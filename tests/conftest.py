"""What holds for every test: the surroundings, and what the processes that share the tests make once."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Before anything else is imported: what the commands that tests start find, as they would in a terminal.
# A job in the background ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Each of some hundred processes would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Threads of OpenBLAS that other processes interrupt wait for each other twenty times as long as they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of the tests that all its processes see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def releases(of_all_workers: Path) -> Path:
    """A folder with the releases 1 and 2, which differ; not to be changed."""
    folder = of_all_workers / "random-releases"
    script = Path(__file__).with_name("serving") / "make_releases.py"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            aside = folder.with_name(secrets.token_hex(4))
            subprocess.run([sys.executable, str(script), str(aside), "2"], check=True, capture_output=True)
            aside.rename(folder)
    return folder
