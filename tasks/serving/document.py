"""The channel's document: what the server is wanted to serve, as a small JSON file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from tasks.store.schema import Newer, check_schema

RUNTIMES = ("litert", "tensorflow")


@dataclass(frozen=True)
class Document:
    """What a server is wanted to serve; version 0 is nothing."""

    version: int = 0
    runtime: str = "litert"
    max_request_mib: int = 32
    max_images: int = 10_000
    previous: int = 0  # served in place of a version that cannot be loaded where nothing is; 0: none


def parse(content: bytes) -> Document:
    """Give the document; ValueError says what is wrong with it."""
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError("not a JSON object")
    try:
        check_schema(given, "it")
    except Newer as error:  # its names and values may mean something else by now
        raise ValueError(str(error)) from error
    given.pop("schema", None)
    known = {field.name: field.type for field in fields(Document)}
    if unknown := sorted(given.keys() - known.keys()):
        raise ValueError(f"unknown name {unknown[0]!r}: there are {', '.join(known)}")
    if "version" not in given:
        raise ValueError("it names no version")
    for name, value in given.items():
        _check(name, value)
    return Document(**given)


def _check(name: str, value: Any) -> None:
    if name == "runtime":
        if value not in RUNTIMES:
            raise ValueError(f"runtime is {value!r}, not one of {', '.join(RUNTIMES)}")
        return
    least = 0 if name in ("version", "previous") else 1
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, not a whole number of at least {least}")


def place_id(path: Path) -> str:
    """Give an id of the document's place, which tells nobody the path who does not know it."""
    return _digest(os.fsencode(path))


def revision_of(path: Path) -> str:
    """Give what changes with every replacement of the file; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return _digest(f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}".encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
