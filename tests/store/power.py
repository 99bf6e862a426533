"""Watches what reaches the disk, and says what a power cut would take of what was renamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tasks.store.files import writer_of


class Disk:
    """The flushes and renames of this process in their order."""

    def __init__(self) -> None:
        self.flushed: list[Path] = []
        self.renamed: list[Path] = []  # the names that things were given; those aside are none
        self.other: Path | None = None  # a folder that is on another disk, to which nothing can be renamed
        self._faults: list[str] = []
        self._due: list[tuple[Path, str]] = []  # folders whose flush is due, and after what

    def flush(self, path: Path) -> None:
        """Note that a file or folder reaches the disk."""
        self.flushed.append(path)
        self._due = [(folder, name) for folder, name in self._due if folder != path]

    def rename(self, source: Path, target: Path) -> None:
        """Note a rename, and what of the source is not on the disk by now."""
        if writer_of(target.name):
            return
        self.renamed.append(target)
        inside = sorted(source.rglob("*")) if source.is_dir() else []
        self._faults += [
            f"{source}/{'' if path == source else path.relative_to(source).as_posix()} before its rename"
            for path in [source, *inside]
            if path not in self.flushed
        ]
        # Under the new name it has to be flushed anew, if it is moved once more.
        self.flushed = [path for path in self.flushed if not path.is_relative_to(source)]
        self._due += [(folder, target.name) for folder in dict.fromkeys((target.parent, source.parent))]

    def lost(self) -> list[str]:
        """Say what a power cut would take."""
        return [*self._faults, *(f"{folder} after the rename of {name}" for folder, name in self._due)]


def record_disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Watch this process from now on."""
    disk = Disk()
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def flush(descriptor: int) -> None:
        disk.flush(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def moved(real, source, target, **how):
        if disk.other is not None and Path(target).parent == disk.other and Path(source).parent != disk.other:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        disk.rename(Path(source), Path(target))
        real(source, target, **how)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", lambda *given, **how: moved(rename, *given, **how))
    monkeypatch.setattr(os, "replace", lambda *given, **how: moved(replace, *given, **how))
    return disk
