"""The published files of a dataset that are on this machine already, under whatever name."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from tasks.datasets.catalogue import CATALOGUE, Dataset, Published, find
from tasks.datasets.containers import plain
from tasks.datasets.idx import idx_header
from tasks.datasets.packages import npm_file_name

DOWNLOADS = "downloads"

# How far a look for files under other names goes: torchvision leaves MNIST/raw/FILE, an archive of Kaggle a
# folder for each file, and the named folder may be one with all of a user's data.
DEEPEST = 3
MOST_FILES = 2_000
HEADER_BYTES = 16  # of an IDX file of images; that of labels has 8
DATA_SUFFIXES = (
    ".gz",
    ".tgz",
    ".tar",
    ".zip",
    ".7z",
    ".rar",
    ".npz",
    ".csv",
    ".parquet",
    ".idx3-ubyte",
    ".idx1-ubyte",
)


def downloads_folder(home: Path) -> Path:
    """Where the verified downloads of a dataset stay."""
    return home / DOWNLOADS


def local_inputs(name: str | Dataset, home: Path, local_folders: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file that a fetch would find locally, by its name; nothing is decoded.

    Files and packages in the dataset's own folder and in the local folders count, downloads of earlier runs
    do not: they say nothing that the catalogue does not.
    """
    dataset = find(name) if isinstance(name, str) else name
    found: dict[str, str] = {}
    for folder in [home, *local_folders]:
        alike = files_alike(dataset, folder)
        paths = [
            path
            for file in dataset.files
            for path in [*files_of(file, folder, dataset.name)] or alike.get(file.name, [])
        ]
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


def files_alike(dataset: Dataset, folder: Path) -> Mapping[str, list[Path]]:
    """The files in and below a folder that can be one of the dataset's by what they hold, by its name.

    An IDX file begins with the sizes of its axes, an archive has the published size; whether it is the right
    one, its digest tells. Whoever unpacks or saves a file may call it otherwise: `train-images.idx3-ubyte`,
    `t10k-labels-idx1-ubyte (1).gz`, `MNIST/raw/train-images-idx3-ubyte`.
    """
    alike: dict[str, list[Path]] = {}
    for path in files_below(folder) if dataset.files else ():
        with contextlib.suppress(OSError):  # closed to this user, or gone meanwhile
            size, start = path.stat().st_size, beginning(path)
            for file in dataset.files:
                if can_be(file, size, start):
                    alike.setdefault(file.name, []).append(path)
    return alike


def can_be(file: Published, size: int, start: bytes) -> bool:
    """Whether a file of that size with those first bytes, unpacked, can be the published one."""
    if file.content == "archive":
        return size == file.published_bytes
    return start.startswith(idx_header(file.shape))


def beginning(path: Path) -> bytes:
    """The first bytes of a file, unpacked where it is gzipped; none where it is broken."""
    with path.open("rb") as stream:
        try:
            return plain(stream).read(HEADER_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return b""


def files_below(folder: Path) -> Iterator[Path]:
    """The files of the user in a folder and below it, in the order of their names."""
    return islice(_walk(folder, DEEPEST), MOST_FILES)


def _walk(folder: Path, levels: int) -> Iterator[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # not there, closed to this user, or a file
        return
    for path in inside:
        if path.is_file():
            yield path
    for path in inside:
        if levels and path.is_dir() and path.name != DOWNLOADS:
            yield from _walk(path, levels - 1)


def unused(dataset: Dataset, folder: Path, *, own: bool) -> list[Path]:
    """The files in a folder that look like data of the dataset and are none that it is read from.

    In a folder that is not the dataset's `own`, those that are named after it.
    """
    known = {name for each in CATALOGUE.values() for name in names_of(each)} | {*names_of(dataset)}
    found = []
    for path in files_below(folder):
        named = any(part.casefold().startswith(dataset.name) for part in path.relative_to(folder).parts)
        if path.suffix.casefold() in DATA_SUFFIXES and path.name not in known and (own or named):
            found.append(path)
    return found


def names_of(dataset: Dataset) -> list[str]:
    """The names under which the files of a dataset are looked for first."""
    return [name for file in dataset.files for name in (file.published_name, file.name)]


def packages_of(source: str, folder: Path) -> list[Path]:
    """The files in a folder of the package that a source names; none where it names no package."""
    scheme, _, package = source.partition(":")
    if scheme == "npm":
        return [path for path in [folder / npm_file_name(package)] if path.is_file()]
    if scheme == "deb":
        return sorted(folder.glob(f"{package}_*.deb"))[-1:]
    return []
