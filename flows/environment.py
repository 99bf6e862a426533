"""A script that was started outside of the environment: it goes on inside, or says how to make one.

The scripts import this from their own folder, before anything that has to be installed.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("flows", "prefect", "pydantic_settings", "tensorflow", "ai_edge_litert")


def enter(target: str) -> None:
    """Give the process to the Python of .venv where this one lacks a package; without one, end with 3.

    `target` of the Makefile makes the environment; that of a script's name also does what the script does.
    """
    if all(find_spec(name) for name in NEEDED):
        return
    environment = Path(__file__).resolve().parents[1] / ".venv"
    python = environment / "bin" / "python"
    if python.exists() and Path(sys.prefix).resolve() != environment.resolve():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606
    sys.stderr.write(
        f"slipway: {sys.executable} has not all that this needs: use `make {target}`, which installs it\n"
    )
    sys.exit(3)  # as of Surroundings
