from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Stopped
from tasks.datasets import download as module
from tasks.datasets.download import Patience, download
from tasks.datasets.errors import Refused, Unavailable

BODY = os.urandom(300_000)
BRIEF = Patience(connect_seconds=1, read_seconds=0.3)


@pytest.fixture
def get(home: Any, tmp_path: Path) -> Callable[..., bool]:
    """Download the server's file to `part`."""
    home.files["file.gz"] = BODY

    def run(**changed: Any) -> bool:
        told = {"most_bytes": len(BODY), "should_stop": lambda: False, "patience": BRIEF}
        return download(f"{home.url}file.gz", tmp_path / "part", **(told | changed))

    return run


def part(folder: Path) -> bytes:
    return (folder / "part").read_bytes()


def test_brings_the_whole(get: Callable[..., bool], tmp_path: Path) -> None:
    """A file comes whole, and nothing from before was used."""
    assert get() is False
    assert part(tmp_path) == BODY


def test_goes_on_where_it_broke_off(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """Bytes of an earlier run are not asked for again."""
    (tmp_path / "part").write_bytes(BODY[:100_000])
    assert get() is True
    assert part(tmp_path) == BODY
    assert home.requests == [("/file.gz", "bytes=100000-")]


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_goes_on_after_a_break(get: Callable[..., bool], home: Any, tmp_path: Path, fault: str) -> None:
    """A connection that breaks or falls silent is taken up again at once, from the next byte on."""
    home.faults = [(fault, 120_000), (fault, 50_000)]
    assert get() is True
    assert part(tmp_path) == BODY
    assert [asked for _, asked in home.requests] == ["", "bytes=120000-", "bytes=170000-"]


def test_server_without_ranges(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """A server that ignores the range sends the whole, and what was there before is gone."""
    (tmp_path / "part").write_bytes(b"x" * 1_000)
    home.faults = ["no ranges"]
    assert get() is False
    assert part(tmp_path) == BODY


def test_server_with_a_wrong_range(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """A part that does not start where it should is not appended: the file is asked for from its start."""
    (tmp_path / "part").write_bytes(BODY[:1_000])
    home.faults = ["wrong range"]
    assert get() is False
    assert part(tmp_path) == BODY


def test_broken_off_at_the_end(get: Callable[..., bool], tmp_path: Path) -> None:
    """A file that is complete already is used as it is."""
    (tmp_path / "part").write_bytes(BODY)
    assert get() is True
    assert part(tmp_path) == BODY


def test_longer_than_the_file(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """Where there is more than the server has, it is asked for from its start."""
    (tmp_path / "part").write_bytes(BODY + b"more")
    assert get() is False
    assert part(tmp_path) == BODY
    assert len(home.requests) == 2


def test_follows_redirects(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """A redirect is followed, a circle of them is an error."""
    home.files["elsewhere"] = BODY
    home.faults = [("redirect", "/elsewhere")]
    get()
    assert part(tmp_path) == BODY
    home.faults = [("redirect", "/elsewhere")] * 30
    with pytest.raises(Unavailable, match="redirects to nowhere") as error:
        get()
    assert not error.value.transient


@pytest.mark.parametrize(
    ("status", "transient"), [(404, False), (403, False), (429, True), (500, True), (503, True)]
)
def test_statuses(get: Callable[..., bool], home: Any, status: int, transient: bool) -> None:
    """A server's error can pass, a missing file does not come by asking again."""
    home.faults = [status]
    with pytest.raises(Unavailable, match=f"answers {status}") as error:
        get()
    assert error.value.transient is transient


def test_silent_server(get: Callable[..., bool], home: Any) -> None:
    """A server that accepts and says nothing costs the read time-out."""
    home.faults = [("stall", 0)]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"keeps silent for 0\.3 s") as error:
        get()
    assert time.monotonic() - began < 2
    assert error.value.transient


def test_server_that_always_breaks(get: Callable[..., bool], home: Any, tmp_path: Path) -> None:
    """A connection that keeps breaking is given up, and what came is kept for the next time."""
    home.faults = [("cut", 1_000)] * 9
    with pytest.raises(Unavailable, match="the connection broke") as error:
        get()
    assert error.value.transient
    assert part(tmp_path) == BODY[:5_000]
    assert len(home.requests) == 5


def test_endless_file(get: Callable[..., bool], tmp_path: Path) -> None:
    """More bytes than the file can have are refused and not kept."""
    with pytest.raises(Refused, match=r"/file\.gz: sends more than 1,000 bytes"):
        get(most_bytes=1_000)
    assert part(tmp_path) == b""


def test_stops(get: Callable[..., bool], tmp_path: Path) -> None:
    """A stop keeps what has come, for the next run."""
    answers = iter([False, False, True])  # while connecting, after the first piece, after the second
    with pytest.raises(Stopped, match="the next run goes on from there"):
        get(should_stop=lambda: next(answers, True))
    there = part(tmp_path)
    assert 0 < len(there) < len(BODY)
    assert BODY.startswith(there)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/passwd", "http:///a"])
def test_other_schemes(tmp_path: Path, url: str) -> None:
    """Only HTTP is spoken."""
    with pytest.raises(Unavailable, match="not an http address"):
        download(url, tmp_path / "part", most_bytes=1, should_stop=lambda: False)


def test_progress(
    get: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A long download says how much there is and how fast it comes."""
    monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, module.__name__):
        get()
    assert " of 0.3 MB, " in caplog.messages[-1]
    assert caplog.messages[-1].endswith(" MB/s")


@pytest.fixture
def only_all_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No proxy in the environment, for the test to set ALL_PROXY."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_proxy_for_all_schemes(only_all_proxy: pytest.MonkeyPatch, home: Any, tmp_path: Path) -> None:
    """Behind ALL_PROXY a host is asked for through it, though its name is not known here."""
    only_all_proxy.setenv("ALL_PROXY", home.url)
    home.files["http://far.invalid/file.gz"] = BODY
    download(
        "http://far.invalid/file.gz",
        tmp_path / "part",
        most_bytes=len(BODY),
        should_stop=lambda: False,
        patience=BRIEF,
    )
    assert part(tmp_path) == BODY


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9", "http://[::"])
def test_a_proxy_that_cannot_be_used(
    only_all_proxy: pytest.MonkeyPatch, get: Callable[..., bool], proxy: str
) -> None:
    """A proxy of a kind that the HTTP client does not know is said to be what is wrong."""
    only_all_proxy.setenv("ALL_PROXY", proxy)
    with pytest.raises(Unavailable, match=r"the proxy of the environment cannot be used: .*"):
        get()
