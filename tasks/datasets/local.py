"""The published files of a dataset that are on this machine already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.datasets.catalogue import Dataset, Published, find
from tasks.datasets.packages import npm_file_name


def downloads_folder(home: Path) -> Path:
    """Where the verified downloads of a dataset stay."""
    return home / "downloads"


def local_inputs(name: str | Dataset, home: Path, local_folders: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file that a fetch would find locally, by its name; nothing is decoded.

    Files and packages in the dataset's own folder and in the local folders count, downloads of earlier runs
    do not: they say nothing that the catalogue does not.
    """
    dataset = find(name) if isinstance(name, str) else name
    found: dict[str, str] = {}
    for folder in [home, *local_folders]:
        paths = [path for file in dataset.files for path in files_of(file, folder, dataset.name)]
        paths += [path for source in dataset.sources for path in packages_of(source, folder)]
        for path in paths:
            key, number = path.name, 1
            while key in found:  # the same name in two folders
                number += 1
                key = f"{path.name} ({number})"
            with path.open("rb") as stream:
                found[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def files_of(file: Published, folder: Path, name: str) -> Iterator[Path]:
    """The places in a folder where a published file is, gzipped or not, the dataset's subfolder first."""
    for place in (folder / name, folder):
        for file_name in dict.fromkeys((file.published_name, file.name)):
            if (place / file_name).is_file():
                yield place / file_name


def packages_of(source: str, folder: Path) -> list[Path]:
    """The files in a folder of the package that a source names; none where it names no package."""
    scheme, _, package = source.partition(":")
    if scheme == "npm":
        return [path for path in [folder / npm_file_name(package)] if path.is_file()]
    if scheme == "deb":
        return sorted(folder.glob(f"{package}_*.deb"))[-1:]
    return []
