"""Reading compressed files and tar archives as a stream, in memory, and within bounds."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

from tasks.datasets.errors import Refused

_GZIP_MAGIC = b"\x1f\x8b"
# tarfile reads an extended header in one piece, as large as the archive says that it is, and so does whoever
# reads a whole member: who does has to look at its size before.
LARGEST_READ = 1 << 25
_CHUNK = 1 << 20


# What tarfile lets through of headers that contradict themselves: numbers that are none, numbers beyond all
# bounds, lists that are too short, and headers of headers in a chain without an end.
_FALSE_HEADER = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@contextmanager
def readable(shown: str) -> Iterator[None]:
    """Whatever the decompressors say of a broken file becomes one clear line that names it."""
    try:
        yield
    except EOFError as error:
        raise Refused(f"{shown}: ends too early; it is cut off") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise Refused(f"{shown}: broken gzip data ({error})") from error
    except tarfile.TarError as error:
        raise Refused(f"{shown}: not a readable tar archive ({error})") from error


@contextmanager
def _readable_headers(shown: str) -> Iterator[None]:
    """A header on which tarfile itself stumbles is refused; around nothing but tarfile's own reading."""
    try:
        yield
    except _FALSE_HEADER as error:
        told = str(error) or type(error).__name__
        raise Refused(f"{shown}: not a readable tar archive (a header of it is false: {told})") from error


def plain(stream: io.BufferedReader) -> IO[bytes]:
    """The decompressed bytes of a stream that may be gzipped or not."""
    if stream.peek(2)[:2] == _GZIP_MAGIC:
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
    return stream


class Bounded(io.RawIOBase):
    """A stream that is refused once it gives more than `most` bytes; it seeks forwards only."""

    def __init__(self, stream: IO[bytes], most: int, shown: str) -> None:
        self._stream = stream
        self._most = most
        self._shown = shown
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise Refused(f"{self._shown}: asks for {size:,} bytes in one piece; a header of it is false")
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > self._most:
            raise Refused(f"{self._shown}: unpacks to more than {self._most:,} bytes")
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(min(len(view), _CHUNK))
        view[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise Refused(f"{self._shown}: a header of it points backwards")
        while self._position < offset and self.read(min(offset - self._position, _CHUNK)):
            pass
        return self._position


@dataclass(frozen=True)
class Member:
    """A regular file of an archive; its stream is good until the next member is asked for."""

    name: str
    size: int
    stream: io.BufferedReader


def members(
    stream: IO[bytes], shown: str, *, most_bytes: int, most_members: int, links: bool = False
) -> Iterator[Member]:
    """The regular files of a tar stream, one after the other; nothing is written to disk or kept.

    Refuses names that lead out of the archive, devices, sparse files, more bytes or members than told, and
    links, unless `links` says that they may be there; then they are passed over.
    """
    bounded = cast(IO[bytes], Bounded(stream, most_bytes, shown))
    with readable(shown), _opened(bounded, shown) as tar:
        count = 0
        while (info := _next(tar, shown)) is not None:
            count += 1
            if count > most_members:
                raise Refused(f"{shown}: holds more than {most_members:,} members")
            _check(info, shown, links)
            if info.isreg():
                yield Member(info.name, info.size, cast(io.BufferedReader, tar.extractfile(info)))


def _opened(stream: IO[bytes], shown: str) -> tarfile.TarFile:
    with _readable_headers(shown):
        return tarfile.open(fileobj=stream, mode="r:")


def _next(tar: tarfile.TarFile, shown: str) -> tarfile.TarInfo | None:
    with _readable_headers(shown):
        info = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]
    return info


def _check(info: tarfile.TarInfo, shown: str, links: bool) -> None:
    name = info.name
    called = f"{shown}: member {name[:200]!r}"
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
        raise Refused(f"{called} has a path that leads out of the archive")
    if (info.issym() or info.islnk()) and not links:
        raise Refused(f"{called} is a link to {info.linkname[:200]!r}")
    if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
        raise Refused(f"{called} is neither a file nor a folder")
    if info.issparse():
        raise Refused(f"{called} is a sparse file")
