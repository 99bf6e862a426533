"""When a process that is asked to stop is interrupted."""

from __future__ import annotations

import subprocess
import sys
import weakref

from tasks.stopping import in_finalizer


class Watched:
    """Notes, at its end, whether it could be interrupted."""

    def __init__(self, seen: list[bool]) -> None:
        self.seen = seen

    def __del__(self) -> None:
        self.look()

    def look(self) -> None:
        """Note it, one call below."""
        self.seen.append(in_finalizer(sys._getframe()))


def test_a_finalizer_is_not_interrupted():
    """Python prints what is raised in a finalizer and goes on, so the interrupt would be lost."""
    seen: list[bool] = []
    watched = Watched(seen)
    watched.look()
    del watched
    assert seen == [False, True]


def test_weak_references_count_as_finalizers():
    """The callbacks of the standard library's weak containers are finalizers too."""
    frames: list[bool] = []

    class Key:
        def __hash__(self) -> int:
            frames.append(in_finalizer(sys._getframe()))
            return 1

    kept: weakref.WeakKeyDictionary[Key, int] = weakref.WeakKeyDictionary()
    kept[Key()] = 1
    assert frames
    assert any(frames)


INTERRUPTED = """
import os, signal
from tasks.stopping import end_when_asked

class Field:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

try:
    with end_when_asked("the last words"):
        type("Owner", (), {"field": Field()})
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_that_was_taken_for_a_failure_is_one():
    """Python wraps what is raised while a class is made: an interrupted import is no defect here."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
