"""One delivery at a time: an exclusive `flock` under the models' root, and one under the data's.

Who needs both takes that of the models first. Beside them each model has a lock for the moments in which its
production changes, which is never held while anything is waited for: a rollback does not wait for a delivery.
The kernel frees a lock when its holder dies, however it dies, so a killed run never blocks the next one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from settings.errors import Stopped, Surroundings

logger = logging.getLogger(__name__)

LOCK = "lock"

CHANGE_SECONDS = 120.0  # above the patience of the cluster's API with what is done under a model's lock

_held: set[Path] = set()  # by this process: a flow started by a command that holds the lock goes on
_held_here = threading.local()  # the locks of models that this thread holds


@contextmanager
def run_lock(
    root: Path,
    *,
    what: str,
    wait_seconds: float = 3600.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock of the folder `root`; wait for its holder, and say who that is.

    Raises Surroundings after `wait_seconds`, 0 for at once, and Stopped when `should_stop` says so. A process
    that holds the lock already enters at once.
    """
    path = (root / LOCK).resolve()
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened for append, so that the line of the holder stays readable for those who wait.
    with path.open("a+", encoding="utf-8") as file:
        acquire(file, path, wait_seconds, should_stop)
        _held.add(path)
        try:
            write_holder(file, what)
            yield
        finally:
            file.truncate(0)
            _held.discard(path)


def is_read_only(root: Path) -> bool:
    """Tell whether this user can only read what is in the folder `root`, or cannot make it."""
    there = next(path for path in (root / LOCK, root, *root.parents) if path.exists())
    return not os.access(there, os.W_OK)


def data_lock(
    data_root: Path, *, should_stop: Callable[[], bool], wait_seconds: float = 3600.0
) -> AbstractContextManager[None]:
    """Hold the lock of the datasets while some are made: two runs would append to one unfinished download.

    Datasets that this user can only read need none.
    """
    if is_read_only(data_root):
        return nullcontext()
    what = "a run that gathers datasets"
    return run_lock(data_root, what=what, wait_seconds=wait_seconds, should_stop=should_stop)


@contextmanager
def model_lock(home: Path, *, should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock of the model whose releases and history are in `home`.

    For the writing of production's document, the renaming of a release and a line of the history, and for
    nothing longer. A thread that holds it enters again at once.
    """
    path = (home / LOCK).resolve()
    held: set[Path] = _held_here.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        acquire(file, path, CHANGE_SECONDS, should_stop)
        held.add(path)
        try:
            write_holder(file, "a change of production")
            yield
        finally:
            file.truncate(0)
            held.discard(path)


def acquire(file: IO[str], path: Path, wait_seconds: float, should_stop: Callable[[], bool]) -> None:
    """Lock the open file, polling, so that a stop is seen while waiting."""
    deadline = time.monotonic() + wait_seconds
    told = ""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = holder_of(path)
            if wait_seconds <= 0:
                raise Surroundings(
                    f"{holder} is at work and holds {path}: run this when it has ended"
                ) from None
            if told != holder:
                logger.warning("waiting for %s to end", holder)
                told = holder
            if time.monotonic() > deadline:
                raise Surroundings(f"{path} is still held by {holder} after {wait_seconds:.0f} s") from None
            if should_stop():
                raise Stopped(f"stopped while waiting for {holder}") from None
            time.sleep(0.1)


def write_holder(file: IO[str], what: str) -> None:
    """Write down who holds the lock."""
    file.truncate(0)
    holder = {
        "what": what,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
    }
    file.write(json.dumps(holder))
    file.flush()


def holder_of(path: Path) -> str:
    """Say who holds a lock, in words."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"{holder['what']} (pid {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # the holder is about to write it
        return "another run"
