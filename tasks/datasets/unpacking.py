"""A user's archive, unpacked into a folder: .tar.gz, .tgz, .tar or .zip, within bounds."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from settings.errors import Stopped
from tasks.datasets.containers import members, plain, readable
from tasks.datasets.errors import Refused

MOST_MEMBERS = 5_000_000
_CHUNK = 1 << 20
_ENCRYPTED = 0x1


def unpack(archive: Path, target: Path, shown: str, should_stop: Callable[[], bool]) -> None:
    """Unpack the files of an archive below `target`, which is there; `shown` names it in errors.

    Refuses paths that lead out, links, devices, two members of a name, encrypted members, and more bytes than
    the disk has free.
    """
    free = shutil.disk_usage(target).free
    if zipfile.is_zipfile(archive):
        with _readable_zip(shown), zipfile.ZipFile(archive) as opened:
            size = sum(info.file_size for info in opened.infolist())
            if size > free:
                raise Refused(f"{shown}: unpacks to {size:,} bytes, and the disk has {free:,} free")
            for info in opened.infolist():
                _check(info, shown)
                if not info.is_dir():
                    with opened.open(info) as stream:
                        _write(stream, target, info.filename, shown, should_stop)
        return
    with archive.open("rb") as packed, readable(shown):
        for member in members(plain(packed), shown, most_bytes=free, most_members=MOST_MEMBERS):
            _write(member.stream, target, member.name, shown, should_stop)


def _write(stream: IO[bytes], target: Path, name: str, shown: str, should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped(f"stopped while unpacking {shown}")
    path = target.joinpath(*PurePosixPath(name).parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Refused(f"{shown}: holds two members of the name {name[:200]!r}") from None
    except (ValueError, UnicodeError):
        raise Refused(f"{shown}: member {name[:200]!a} has no name that a file can have") from None


def _check(info: zipfile.ZipInfo, shown: str) -> None:
    name = info.filename
    called = f"{shown}: member {name[:200]!r}"
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
        raise Refused(f"{called} has a path that leads out of the archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Refused(f"{called} is a link")
    if info.flag_bits & _ENCRYPTED:
        raise Refused(f"{called} is encrypted")


@contextmanager
def _readable_zip(shown: str) -> Iterator[None]:
    """Whatever zipfile says of a broken archive becomes one clear line that names it."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Refused(f"{shown}: not a readable zip archive ({error})") from error
