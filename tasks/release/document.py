"""The document of a channel: what it is wanted to serve, as small JSON that its server reconciles with.

Light to import: the model server and the backends share it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tasks.store.schema import SCHEMA, Newer, check_schema

RUNTIMES = ("litert", "tensorflow")


@dataclass(frozen=True)
class Wanted:
    """What a channel is wanted to serve; version 0 is nothing.

    The way back, `previous` (0: none), is served in place of a version that cannot be loaded where nothing
    is. It is no part of the wish: it changes nothing of what is served as long as all is well, so documents
    that differ in it alone are equal.
    """

    version: int
    runtime: str = "litert"
    max_request_mib: int = 32
    max_images: int = 10_000  # rows of any kind
    previous: int = field(default=0, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Give the document's content."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def parse(cls, content: bytes | str, what: str = "it") -> Wanted:
        """Read a document; ValueError says what is wrong with it. Raises Newer, which names `what` it is."""
        try:
            given = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from error
        if not isinstance(given, dict):
            raise ValueError("not a JSON object")
        check_schema(given, what)  # the names and values of a newer one may mean something else by now
        given.pop("schema", None)
        known = [each.name for each in fields(cls)]
        if unknown := sorted(given.keys() - set(known)):
            raise ValueError(f"unknown name {unknown[0]!r}: there are {', '.join(known)}")
        if "version" not in given:
            raise ValueError("it names no version")
        for name, value in given.items():
            _check(name, value)
        return cls(**given)

    @classmethod
    def read(cls, content: bytes | str, what: str) -> Wanted | None:
        """Read a document; None where it cannot be read. Raises Newer, which names `what` it is."""
        try:
            return cls.parse(content, what)
        except Newer:
            raise
        except ValueError:
            return None


def place_id(path: Path) -> str:
    """Give an id of the document's place, which tells nobody the path who does not know it."""
    return _digest(os.fsencode(path))


def revision_of(path: Path) -> str:
    """Give what changes with every replacement of the file; OSError where it cannot be looked up.

    It is the same in every container that has this folder of the machine.
    """
    status = path.stat()
    return _digest(f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}".encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _check(name: str, value: Any) -> None:
    if name == "runtime":
        if value not in RUNTIMES:
            raise ValueError(f"runtime is {value!r}, not one of {', '.join(RUNTIMES)}")
        return
    least = 0 if name in ("version", "previous") else 1
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, not a whole number of at least {least}")
