"""Fonts to draw letters with: out of Debian's packages, else what is installed, else Pillow's own.

Packages come first so that two machines draw the same letters.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks.datasets.catalogue import Dataset
from tasks.datasets.containers import LARGEST_READ, readable
from tasks.datasets.errors import Refused, Unavailable
from tasks.datasets.local import downloads_folder, packages_of
from tasks.datasets.packages import apt_download, installed_files, opened, workspace
from tasks.store.files import publish

logger = logging.getLogger(__name__)

_SUFFIXES = (".ttf", ".otf")
_MOST_FONTS = 200


@dataclass(frozen=True)
class FontFile:
    """A font's file in memory; no data means the font that Pillow carries."""

    name: str
    data: bytes


def font_sets(
    dataset: Dataset,
    home: Path,
    local_folders: Sequence[Path],
    tried: list[dict[str, str]],
    should_stop: Callable[[], bool],
) -> Iterator[tuple[str, list[FontFile]]]:
    """Sets of fonts with the name of where they are from, the preferred ones first; the last is always there.

    Packages that cannot be had are noted in `tried`.
    """
    packages = [source for source in dataset.sources if source.startswith("deb:")]
    if packages:
        try:
            fonts = _packaged(packages, home, local_folders, should_stop)
            yield ", ".join(packages), fonts
        except (Unavailable, Refused) as error:
            logger.info("%s: %s: %s", dataset.name, ", ".join(packages), error)
            tried.append({"source": ", ".join(packages), "reason": str(error)})
    for source in dataset.sources:
        if source not in packages:
            yield source, _in_folder(Path(source))
    yield "the font that Pillow carries", [FontFile("Pillow", b"")]


def _packaged(
    sources: Sequence[str], home: Path, local_folders: Sequence[Path], should_stop: Callable[[], bool]
) -> list[FontFile]:
    """The fonts of all packages, from a package's file, or as installed; what is missing is downloaded."""
    downloads = downloads_folder(home)
    fonts: dict[str, bytes] = {}
    missing = []
    with workspace(downloads) as folder:
        for source in sources:
            places = [home, *local_folders, downloads]
            here = [path for place in places for path in packages_of(source, place)]
            package = source.removeprefix("deb:")
            if here:
                fonts |= _in_package(here[0], should_stop)
            elif installed := _read(installed_files(package, folder, should_stop)):
                fonts |= installed
            else:
                missing.append(package)
        if missing:
            for path in apt_download(missing, folder, should_stop):
                fonts |= _in_package(path, should_stop)
                publish(path, downloads / path.name)
    return _sorted(fonts)


def _in_package(package: Path, should_stop: Callable[[], bool]) -> dict[str, bytes]:
    fonts = {}
    with readable(str(package)), opened(package, should_stop) as files:
        for member in files:
            name = PurePosixPath(member.name).name
            if name.lower().endswith(_SUFFIXES) and member.size <= LARGEST_READ:
                fonts[name] = member.stream.read()
    return fonts


def _in_folder(folder: Path) -> list[FontFile]:
    """A spread over the fonts below a folder, since there can be thousands."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    step = -(-len(paths) // _MOST_FONTS) or 1
    return _sorted(_read(paths[::step]))


def _read(paths: Sequence[Path]) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in paths
        if path.suffix.lower() in _SUFFIXES and path.stat().st_size <= LARGEST_READ
    }


def _sorted(fonts: dict[str, bytes]) -> list[FontFile]:
    return [FontFile(name, fonts[name]) for name in sorted(fonts)]
