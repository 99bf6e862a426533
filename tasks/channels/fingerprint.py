"""What decides how a local server behaves: its code, its libraries and its arguments."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the folder of the top-level packages
SHARED = (
    "settings/errors.py",
    "tasks/release/contract.py",
    "tasks/release/document.py",
    "tasks/release/reader.py",
    "tasks/store/files.py",
    "tasks/store/schema.py",
    "tasks/store/token.py",
)
LIBRARIES = ("ai-edge-litert", "httptools", "numpy", "orjson", "starlette", "tensorflow", "uvicorn")


def fingerprint(arguments: Sequence[str]) -> str:
    """Give a digest that changes with whatever makes a running server an old one.

    It reads the sources as they are, so that it takes a millisecond: every run asks for it.
    """
    digest = hashlib.sha256()
    for path in server_sources():
        digest.update(f"{path.relative_to(ROOT)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    for name in LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\0".encode())
    digest.update(os.fsencode("\0".join((sys.version, *arguments))))  # paths of whatever bytes
    return digest.hexdigest()


def server_sources() -> list[Path]:
    """Give the files of the model server and of what it shares with other parts."""
    return sorted((ROOT / "tasks" / "serving").glob("*.py")) + [ROOT / path for path in SHARED]
