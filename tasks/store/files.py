"""Files and folders that are never half-written: written aside, flushed to the disk, then renamed.

Everything is published from here. A file system may keep a rename and lose what was renamed when the power
goes, so what is inside is flushed before, and the folder that names it after.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
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
    make_folder(path.parent)
    temporary = aside(path)
    try:
        temporary.write_bytes(content)
        publish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def publish(source: Path, target: Path) -> None:
    """Rename a file, or a folder with all that is in it, into place, such that it outlives a power cut.

    A file takes the place of the one before; a folder's place has to be free.
    """
    if source.is_dir():
        for folder, _, names in os.walk(source):
            for name in names:
                flush(Path(folder, name))
            flush(Path(folder))
    else:
        flush(source)
    source.replace(target)
    for home in {target.parent, source.parent}:
        flush(home)


def remove_folder(path: Path) -> None:
    """Remove a folder, of which nobody sees a part: it goes aside first. It need not be there."""
    old = aside(path)
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing, such that they outlive a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        flush(folder.parent)


def flush(path: Path) -> None:
    """Bring what a file holds, or the names that a folder holds, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
