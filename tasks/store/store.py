"""The store: each artifact a folder under its key, published by one rename, trusted while unaltered."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from settings.errors import Surroundings
from tasks.store.artifacts import (
    Artifact,
    Record,
    combined_digest,
    file_digests,
    read_record,
    write_record,
)
from tasks.store.files import aside, make_folder, publish
from tasks.store.functions import edited
from tasks.store.keys import Key, changes

logger = logging.getLogger(__name__)

Notes = Mapping[str, Any]
NAME_LENGTH = 20  # hexadecimal digits of the key in a folder's name; the record holds all of them


@dataclass(frozen=True)
class Store:
    """The two roots of a delivery: datasets under one, all that is made of them under the other."""

    data_root: Path
    models_root: Path
    dataset_homes: Mapping[str, Path] = field(default_factory=dict)  # folders that stand elsewhere

    def dataset_home(self, name: str) -> Path:
        """Give the folder of a dataset: its downloads, its published files, its artifacts."""
        return self.dataset_homes.get(name, self.data_root / name)

    def home(self, kind: str) -> Path:
        """Give the folder that holds the artifacts of a kind; a dataset's kind is `dataset/NAME`."""
        family, _, name = kind.partition("/")
        return self.dataset_home(name) if family == "dataset" else self.models_root / "store" / kind

    def folder(self, artifact: Artifact) -> Path:
        """Give the folder of an artifact on this machine."""
        return self.home(artifact.kind) / artifact.path

    def checkpoints(self, kind: str, key: Key) -> Path:
        """Give the folder for the checkpoints of one making; it goes when the artifact is published."""
        return self.models_root / "checkpoints" / f"{kind}-{key.digest[:NAME_LENGTH]}"

    def find(self, kind: str, key: Key) -> Artifact | None:
        """Give the artifact of a key; None where it is missing, or a file of it is missing or altered."""
        path = key.digest[:NAME_LENGTH]
        folder = self.home(kind) / path
        record = read_record(folder)
        if record is None or record.key != key.digest:
            return None
        if (record.kind, record.digest) != (kind, combined_digest(record.files)):
            return None
        found = file_digests(folder)
        if found != record.files:
            altered = [name for name in record.files | found if record.files.get(name) != found.get(name)]
            logger.warning("%s is altered (%s): it is made again", folder, ", ".join(sorted(altered)))
            return None
        return Artifact(kind=kind, path=path, digest=record.digest)

    def record(self, artifact: Artifact) -> Record:
        """Read the record of an artifact."""
        record = read_record(self.folder(artifact))
        if record is None:
            raise FileNotFoundError(f"{self.folder(artifact)} has no record")
        return record

    def make(self, kind: str, key: Key, work: Callable[[Path], Notes | None]) -> Artifact:
        """Give the artifact of a key, and make it where it is not there.

        `work` fills the folder that it is given and may return notes, which are kept beside the files and
        are no part of the digest. Nothing is seen of the artifact until it is whole. Raises Surroundings
        where the code that makes it was edited meanwhile.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        logger.info("%s: %s", kind, self.why(kind, key))
        folder = self.home(kind) / key.digest[:NAME_LENGTH]
        make_folder(folder.parent)
        temporary = aside(folder)
        temporary.mkdir()
        start = time.perf_counter()
        try:
            notes = work(temporary)
            if news := edited(key.code):
                # What was imported before the edit is the old code, what was imported after it the new one.
                raise Surroundings(
                    f"{', '.join(news)} was edited while {kind} was made, so it may be of either code: "
                    "run again"
                )
            files = file_digests(temporary)
            record = Record(
                kind=kind,
                key=key.digest,
                parts=dict(key.parts),
                digest=combined_digest(files),
                files=files,
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.perf_counter() - start, 3),
                notes=dict(notes or {}),
            )
            write_record(temporary, record)
            replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self.checkpoints(kind, key), ignore_errors=True)
        return Artifact(kind=kind, path=folder.name, digest=record.digest)

    def why(self, kind: str, key: Key) -> str:
        """Say why a key has to be made: what changed since the newest artifact of the same kind."""
        home = self.home(kind)
        folders = [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
        records = [record for path in folders if (record := read_record(path)) and record.kind == kind]
        if not records:
            return "made for the first time"
        if any(record.key == key.digest for record in records):
            return "made again, since files of it are missing or altered"
        newest = max(records, key=lambda record: record.made_at)
        told = changes(newest.parts, key.parts)
        more = f" and {len(told) - 4} more" if len(told) > 4 else ""
        return f"changed: {'; '.join(told[:4])}{more}"


def replace_folder(source: Path, target: Path) -> None:
    """Publish a folder; what stands in its place goes aside first and is then removed."""
    old = aside(target)
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    publish(source, target)
    shutil.rmtree(old, ignore_errors=True)
