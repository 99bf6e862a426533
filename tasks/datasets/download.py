"""Downloads over HTTP that can be broken off and gone on with."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from settings.errors import Stopped
from tasks.datasets.errors import Refused, Unavailable
from tasks.datasets.reach import behind_proxy, reach

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 3.0
_MB = 1_000_000
_MOST_BREAKS = 5
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_TRY_LATER = {408, 425, 429}


@dataclass(frozen=True)
class Patience:
    """How long a server may keep silent: until it accepts a connection, and between two pieces."""

    connect_seconds: float = 3.0
    read_seconds: float = 10.0


def download(
    url: str,
    part: Path,
    *,
    most_bytes: int,
    should_stop: Callable[[], bool],
    patience: Patience | None = None,
) -> bool:
    """Bring the file at `url` to `part`, going on where an earlier download broke off.

    Gives whether bytes from before were used: then the whole may not be one file, so check its digest, and
    where it is wrong, delete `part` and download again. A connection that breaks is taken up again as long as
    each brings more. Raises Unavailable (`part` is kept), Refused for more than `most_bytes`, and Stopped.
    """
    patience = patience or Patience()
    timeout = httpx.Timeout(patience.read_seconds, connect=patience.connect_seconds)
    transport = _transport(httpx.URL(url), patience, should_stop)
    try:
        client = httpx.Client(
            transport=transport,
            timeout=timeout,
            follow_redirects=True,
            headers={"Accept-Encoding": "identity"},
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # SOCKS, for one, takes a package more
        raise Unavailable(f"the proxy of the environment cannot be used: {error}") from error
    with client:
        for breaks in range(_MOST_BREAKS):
            before = _size(part)
            try:
                with part.open("ab") as target:
                    return _receive(client, url, target, most_bytes, should_stop)
            except httpx.HTTPError as error:
                reason = _reason(error, patience)
                if _size(part) <= before or breaks == _MOST_BREAKS - 1:
                    raise reason from error
                logger.info("%s: %s; going on at byte %s", url, reason, f"{_size(part):,}")
    raise AssertionError("the last break raises")


def _transport(
    url: httpx.URL, patience: Patience, should_stop: Callable[[], bool]
) -> httpx.HTTPTransport | None:
    """A transport that uses the addresses that answer; the client's own where a proxy does the connecting."""
    if url.scheme not in ("http", "https") or not url.host:
        raise Unavailable(f"{url} is not an http address")
    if behind_proxy(url.scheme, url.host):
        return None
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    family = reach(url.host, port, seconds=patience.connect_seconds, should_stop=should_stop)
    return httpx.HTTPTransport(local_address="0.0.0.0" if family == socket.AF_INET else "::")  # noqa: S104


def _receive(
    client: httpx.Client, url: str, target: BinaryIO, most_bytes: int, should_stop: Callable[[], bool]
) -> bool:
    """One request, from the end of `target` on, or from its beginning where the server wants it so.

    Gives whether the bytes that were there are still used.
    """
    start = target.tell()
    with client.stream("GET", url, headers={"Range": f"bytes={start}-"} if start else {}) as response:
        total = _total(response.headers.get("Content-Range", ""))
        if start and response.status_code == _RANGE_NOT_SATISFIABLE and total == start:
            return True  # broken off after the last byte
        if start and (
            response.status_code == _RANGE_NOT_SATISFIABLE
            or (response.status_code == _PARTIAL and not _starts_at(response, start))
        ):
            _empty(target)
            response.close()
            return _receive(client, url, target, most_bytes, should_stop)
        if response.status_code not in (_OK, _PARTIAL):
            status = response.status_code
            phrase = f"{status} {response.reason_phrase}".strip()
            raise Unavailable(f"answers {phrase}", transient=status >= 500 or status in _TRY_LATER)
        if response.status_code == _OK:
            start = _empty(target)  # the server knows nothing of ranges
        progress = _Progress(url, start, total or _announced(response))
        # Pieces as they come: one that is collected to some size would be lost when the connection breaks.
        for piece in response.iter_raw():
            target.write(piece)
            progress.add(len(piece))
            if progress.done > most_bytes:
                _empty(target)
                raise Refused(f"{url}: sends more than {most_bytes:,} bytes")
            if should_stop():
                raise Stopped(f"stopped while downloading {url}; the next run goes on from there")
    return start > 0


class _Progress:
    """A line every few seconds: how much there is, and how fast it comes."""

    def __init__(self, url: str, start: int, total: int) -> None:
        self.done = start
        self._url = url
        self._total = total
        self._since = time.monotonic()
        self._since_bytes = start

    def add(self, count: int) -> None:
        self.done += count
        seconds = time.monotonic() - self._since
        if seconds < _PROGRESS_SECONDS:
            return
        rate = (self.done - self._since_bytes) / seconds
        total = f" of {self._total / _MB:.1f}" if self._total else ""
        logger.info("%s: %.1f%s MB, %.1f MB/s", self._url, self.done / _MB, total, rate / _MB)
        self._since, self._since_bytes = time.monotonic(), self.done


def _empty(target: BinaryIO) -> int:
    """Cut the file to nothing; gives where the next byte goes."""
    target.seek(0)
    return target.truncate()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _total(content_range: str) -> int:
    """The size of the whole file in a Content-Range header, 0 where there is none."""
    match = re.search(r"/(\d+)$", content_range)
    return int(match[1]) if match else 0


def _starts_at(response: httpx.Response, start: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == start


def _announced(response: httpx.Response) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


def _reason(error: httpx.HTTPError, patience: Patience) -> Unavailable:
    """The error in words, and whether asking again can help."""
    match error:
        case httpx.ConnectTimeout():
            return Unavailable(f"does not answer within {patience.connect_seconds:g} s", transient=True)
        case httpx.TimeoutException():
            return Unavailable(f"keeps silent for {patience.read_seconds:g} s", transient=True)
        case httpx.ConnectError():
            return Unavailable(f"no connection: {error}")
        case httpx.TooManyRedirects() | httpx.UnsupportedProtocol():
            return Unavailable(f"redirects to nowhere: {error}")
        case _:
            return Unavailable(f"the connection broke: {error}", transient=True)
