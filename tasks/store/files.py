"""Files that are never half-written: written aside, flushed to the disk, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
from pathlib import Path
from typing import Any

from settings.errors import Surroundings

ASIDE = (
    ".aside-"  # prefix of every file and folder that is still being written; swept when its writer is dead
)
_ASIDE_NAME = re.compile(rf"{re.escape(ASIDE)}([0-9a-f]{{8}})-([0-9]+)-[0-9a-f]{{8}}-.+", re.DOTALL)


def this_host() -> str:
    """Give a short name of this machine or pod for file names."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def aside(path: Path) -> Path:
    """Give the sibling under which `path` is written; its name tells the host and process that write it."""
    return path.with_name(f"{ASIDE}{this_host()}-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def writer_of(name: str) -> tuple[str, int] | None:
    """Give the host and the process that write the file or folder of that name; None for any other name."""
    match = _ASIDE_NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file in one step: readers see the old content or the new, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = aside(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace the file with `value` as indented JSON with sorted keys."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of this project; Surroundings names the file where it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Surroundings(f"{path} is damaged ({error}); remove it and run again") from error


def sha256_of(path: Path) -> str:
    """Give the hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
