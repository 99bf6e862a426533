"""Stopping in order, on Ctrl-C and on SIGTERM.

The first signal sets a wish, which work reads between two pieces of it: it ends by itself and keeps what it
did. What does not read it is interrupted after a moment, once. A command that has not ended even then, such
as one that reports to a server that is gone, ends at once: a run can be killed at any moment without harm.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from settings.errors import SlipwayError, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 4.0  # a call of a training, and its checkpoint, on a machine that does much else
REMIND_SECONDS = 0.2
LAST_SECONDS = 9.0  # `docker stop` allows ten

GOES_ON = "the next run goes on from what was done"

E = TypeVar("E", bound=BaseException)
Handler = Callable[[int, FrameType | None], None]

_asked = threading.Event()
_last_words: str | None = None  # of the command that this process is, if it is one
_depth = 0  # of the blocks that this module lets signals stop
_sheltered = 0  # of those among them that are not to be interrupted


def should_stop() -> bool:
    """Tell whether this process was asked to stop."""
    return _asked.is_set()


def stop_here(what: str) -> None:
    """Raise Stopped where this process was asked to stop."""
    if should_stop():
        raise Stopped(f"stopped before {what}; {GOES_ON}")


@contextmanager
def stop_in_order() -> Iterator[None]:
    """Let a signal stop the block as this module says; for the body of a flow, whoever runs it.

    Ctrl-C interrupts with KeyboardInterrupt, SIGTERM with what it did before: Prefect raises an exception of
    its own, by which it knows a run that was cancelled.
    """
    over = threading.Event()
    asked_by: list[int] = []
    interrupted = False
    main = threading.main_thread()

    def asked(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not asked_by:
            ask()
            asked_by.append(number)
            threading.Thread(target=remind, name="remind", daemon=True).start()
        elif not _sheltered and not interrupted and not in_finalizer(frame):
            interrupted = True
            over.set()
            interrupt(asked_by[0], frame)

    def remind() -> None:
        wait = GRACE_SECONDS
        while not over.wait(wait):
            signal.pthread_kill(main.ident or 0, asked_by[0])
            wait = REMIND_SECONDS

    def interrupt(number: int, frame: FrameType | None) -> None:
        handler = before[signal.SIGTERM]
        if number == signal.SIGTERM and callable(handler):
            handler(number, frame)
        raise KeyboardInterrupt

    if threading.current_thread() is not main:  # only the main thread may handle signals
        yield
        return
    with handled_by(asked) as before:
        try:
            yield
        except Stopped:
            interrupted = True
            if asked_by == [signal.SIGTERM]:
                interrupt(signal.SIGTERM, None)
            raise
        finally:
            over.set()


def in_finalizer(frame: FrameType | None) -> bool:
    """Tell whether a frame belongs to a finalizer: Python prints what is raised there, and goes on."""
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


@contextmanager
def sheltered() -> Iterator[None]:
    """Let a block end before the main thread is interrupted; it may read the wish itself."""
    global _sheltered
    _sheltered += 1
    try:
        yield
    finally:
        _sheltered -= 1


@contextmanager
def end_when_asked(last_words: str) -> Iterator[None]:
    """Let this process end within seconds after a signal; for a command, around all that it does.

    The block is interrupted by KeyboardInterrupt, once, and ends with it also where other code took that for
    a failure of its own. Whatever then keeps the process, in the block or at Python's exit, it ends
    LAST_SECONDS after the signal, with `last_words` on stderr.
    """
    global _last_words

    def asked(number: int, frame: FrameType | None) -> None:
        if not should_stop():
            ask()
            raise KeyboardInterrupt

    _last_words = last_words
    try:
        with handled_by(asked):
            yield
    except SlipwayError:
        raise
    except Exception as error:
        # Python raises another error for an interrupt inside of `__set_name__`.
        if origin(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        _last_words = None


def origin(error: BaseException | None, kind: type[E]) -> E | None:
    """Give the first error of a kind among an error and those that it was raised for."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def ask() -> None:
    """Set the wish; in a command, make sure that the process ends."""
    _asked.set()
    if _last_words is not None:
        threading.Thread(target=end, args=(_last_words,), name="end", daemon=True).start()


def end(last_words: str) -> None:
    time.sleep(LAST_SECONDS)
    os.write(sys.stderr.fileno(), f"{last_words}\n".encode())
    os._exit(Stopped.exit_code)


@contextmanager
def handled_by(handler: Handler) -> Iterator[dict[int, Any]]:
    """Let `handler` have the signals that are not ignored; give the handlers before, who get them back."""
    global _depth
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number in SIGNALS if before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handler)
    _depth += 1
    try:
        yield before
    finally:
        _depth -= 1
        stopped = should_stop() and _last_words is not None and _depth == 0
        for number in taken:
            # A command that was stopped is ending: another Ctrl-C would only print a traceback.
            signal.signal(number, signal.SIG_IGN if stopped else before[number] or signal.SIG_DFL)
        if _depth == 0:
            _asked.clear()
