"""An artifact is a folder whose digest is that of its files; its record in it is no part of the digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.store.files import read_json, sha256_of, write_json

RECORD = "record.json"


class Artifact(BaseModel):
    """A reference to an artifact: small, frozen, and true on every machine that shares the volumes."""

    model_config = ConfigDict(frozen=True)

    kind: str
    path: str  # relative to the root of its kind
    digest: str


class Record(BaseModel):
    """What is known of an artifact: of which key it came, its files, and notes of the making."""

    model_config = ConfigDict(frozen=True)

    kind: str
    key: str
    parts: dict[str, str]  # of the key, by name: which part changed can be told
    digest: str
    files: dict[str, str]  # relative path -> SHA-256
    made_at: str  # UTC, ISO 8601
    seconds: float
    notes: dict[str, Any]


def file_digests(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file below `folder` but the record, by relative POSIX path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths if path != folder / RECORD}


def combined_digest(parts: dict[str, str]) -> str:
    """Give one SHA-256 for a mapping of names to digests, whatever its order."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(parts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_record(folder: Path, record: Record) -> None:
    """Write the record into its artifact's folder."""
    write_json(folder / RECORD, record.model_dump())


def read_record(folder: Path) -> Record | None:
    """Read the record of an artifact; None where there is no artifact or its record is damaged."""
    try:
        return Record.model_validate(read_json(folder / RECORD))
    except Exception:  # whatever is wrong with it: what cannot be read is not trusted
        return None
