from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tasks.datasets.containers import Bounded, Member, members, plain, readable
from tasks.datasets.errors import Refused

Archive = Callable[[list[tuple[str | tarfile.TarInfo, bytes]]], bytes]


def read(data: bytes, **limits: Any) -> list[tuple[str, bytes]]:
    told = {"most_bytes": 1 << 20, "most_members": 10} | limits
    stream = plain(io.BufferedReader(io.BytesIO(data)))
    with readable("a.tar.gz"):
        return [(member.name, member.stream.read()) for member in members(stream, "a.tar.gz", **told)]


def special(kind: bytes, name: str = "a/b") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


def test_files_in_order(archive: Archive) -> None:
    """Files come in the archive's order with their bytes; folders do not."""
    content = [(special(tarfile.DIRTYPE, "a"), b""), ("a/one", b"1" * 2_000), ("a/two", b"")]
    assert read(archive(content)) == [("a/one", b"1" * 2_000), ("a/two", b"")]


def test_files_that_are_not_read_are_passed_over(archive: Archive) -> None:
    """Nothing has to be read of a file to come to the next."""
    data = io.BytesIO(archive([("one", os.urandom(90_000)), ("two", b"2")]))
    stream = plain(io.BufferedReader(data))
    names: list[Member] = list(members(stream, "a", most_bytes=1 << 20, most_members=9))
    assert [member.name for member in names] == ["one", "two"]


def test_long_names(archive: Archive) -> None:
    """Names beyond the header's hundred bytes come whole."""
    name = "notMNIST_small/A/" + "Q" * 180 + ".png"
    assert read(archive([(name, b"x")])) == [(name, b"x")]


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\\..\\b"])
def test_refuses_path_tricks(archive: Archive, name: str) -> None:
    """A name that leads out of the archive is refused, though nothing is ever written by it."""
    with pytest.raises(Refused, match=r"a\.tar\.gz: member .* has a path that leads out"):
        read(archive([(name, b"x")]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_refuses_links(archive: Archive, kind: bytes) -> None:
    """A link is refused, or passed over where links are told to be fine."""
    data = archive([(special(kind), b""), ("c", b"x")])
    with pytest.raises(Refused, match="member 'a/b' is a link to '/etc/passwd'"):
        read(data)
    assert read(data, links=True) == [("c", b"x")]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_refuses_devices(archive: Archive, kind: bytes) -> None:
    """A device is refused, links or not."""
    with pytest.raises(Refused, match="neither a file nor a folder"):
        read(archive([(special(kind), b"")]), links=True)


def test_refuses_bombs(archive: Archive) -> None:
    """What unpacks to more than told is refused when it gets there, and so are too many members."""
    with pytest.raises(Refused, match="unpacks to more than 1,048,576 bytes"):
        read(archive([("a", bytes(5_000_000))]))
    with pytest.raises(Refused, match="more than 10 members"):
        read(archive([(f"{number}", b"") for number in range(11)]))


def test_refuses_huge_headers() -> None:
    """An extended header that says it has gigabytes is not read."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with pytest.raises(Refused, match="a header of it is false"):
        read(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2_000_000)), most_bytes=1 << 40)


def test_refuses_broken_files(archive: Archive) -> None:
    """A cut file, one with a changed byte, and no tar at all are each one clear line."""
    data = archive([("a", os.urandom(9_000))])
    with pytest.raises(Refused, match=r"a\.tar\.gz: ends too early"):
        read(data[:5_000])
    with pytest.raises(Refused, match=r"a\.tar\.gz: (broken gzip data|not a readable tar archive)"):
        read(data[:100] + bytes(20) + data[120:])
    with pytest.raises(Refused, match=r"a\.tar\.gz: not a readable tar archive"):
        read(gzip.compress(b"<html>" * 300))


def sparse(**headers: str) -> bytes:
    """An archive of one file whose extended header says that it is a sparse one."""
    info = tarfile.TarInfo("a")
    info.pax_headers = {f"GNU.sparse.{name}": value for name, value in headers.items()}
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(1_024)


@pytest.mark.parametrize(
    "data",
    [
        sparse(size="many", map="0,1"),
        sparse(major="1", minor="0", size="-", name="a"),
        sparse(map="0,1,x", size="1"),
        b"".join(special(tarfile.GNUTYPE_LONGNAME).tobuf() for _ in range(3_000)),
    ],
    ids=["size", "version", "map", "chain"],
)
def test_refuses_headers_on_which_tarfile_stumbles(data: bytes) -> None:
    """Numbers that are none, and thousands of headers about headers, are one clear line too."""
    with pytest.raises(Refused, match=r"^a\.tar\.gz: not a readable tar archive \(a header of it is false"):
        read(data, most_bytes=1 << 24)
    with pytest.raises(Refused, match="a header of it is false"):
        read(special(tarfile.DIRTYPE).tobuf() + data, most_bytes=1 << 24)


def test_an_error_of_the_reader_is_its_own() -> None:
    """A ValueError of the code that reads within `readable` is not laid to the archive."""
    with pytest.raises(ValueError, match="mine"), readable("a.tar.gz"):
        raise ValueError("mine")


def test_plain_reads_both() -> None:
    """The same bytes come out of a gzipped and of a plain file."""
    for data in (b"\0\0\x08\x01abc", gzip.compress(b"\0\0\x08\x01abc")):
        assert plain(io.BufferedReader(io.BytesIO(data))).read() == b"\0\0\x08\x01abc"


def test_bounded_goes_forwards_only() -> None:
    """A stream seeks by reading, and never back."""
    bounded = Bounded(io.BytesIO(b"0123456789"), 10, "a")
    assert (bounded.seek(4), bounded.read(2), bounded.tell()) == (4, b"45", 6)
    with pytest.raises(Refused, match="backwards"):
        bounded.seek(1)
