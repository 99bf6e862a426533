"""The lock of a run."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading

import pytest

from settings.errors import Stopped, Surroundings
from tasks.store.lock import data_lock, holder_of, run_lock

SPAWN = multiprocessing.get_context("spawn")


def hold(root, pipe) -> None:
    with run_lock(root, what="another delivery"):
        pipe.send("held")
        pipe.poll(None)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path, and a function that lets it go."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    assert ours.recv() == "held"
    yield process, lambda: ours.send("go")
    process.kill()
    process.join()


def test_the_second_waits_and_says_for_whom(tmp_path, holder, caplog):
    """Who comes second is told who holds the lock, and goes on when it is free."""
    process, go = holder
    timer = threading.Timer(0.3, go)
    timer.start()
    with caplog.at_level(logging.WARNING), run_lock(tmp_path, what="this"):
        pass
    timer.join()
    assert caplog.messages[0].startswith(f"waiting for another delivery (pid {process.pid} on ")


def test_a_killed_holder_frees_the_lock(tmp_path, holder):
    """SIGKILL of the holder leaves no lock behind."""
    process, _ = holder
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with run_lock(tmp_path, what="this", wait_seconds=0):
        pass


def test_waiting_ends_with_a_clear_error(tmp_path, holder):
    """After the time to wait, the error names the holder."""
    told = f"still held by another delivery \\(pid {holder[0].pid} on .* after 0 s"
    with pytest.raises(Surroundings, match=told), run_lock(tmp_path, what="this", wait_seconds=0.2):
        pass


def test_who_does_not_wait_is_told_who_is_at_work(tmp_path, holder):
    """At once, and what to do."""
    told = f"another delivery \\(pid {holder[0].pid} on .*: run this when it has ended"
    with pytest.raises(Surroundings, match=told), run_lock(tmp_path, what="this", wait_seconds=0):
        pass


def test_waiting_can_be_stopped(tmp_path, holder):
    """A stop is obeyed while waiting."""
    with pytest.raises(Stopped), run_lock(tmp_path, what="this", should_stop=lambda: True):
        pass


def test_the_holder_enters_again(tmp_path):
    """A flow started by a command that holds the lock does not wait for itself."""
    with run_lock(tmp_path, what="command"), run_lock(tmp_path, what="flow", wait_seconds=0):
        pass
    with run_lock(tmp_path, what="next", wait_seconds=0):
        pass


def test_datasets_that_can_only_be_read_need_no_lock(tmp_path, monkeypatch):
    """Nothing is written where nothing can be; else the lock is that of the folder."""
    with monkeypatch.context() as closed:
        closed.setattr(os, "access", lambda path, mode: False)
        with data_lock(tmp_path, should_stop=lambda: False):
            assert list(tmp_path.iterdir()) == []
    with data_lock(tmp_path, should_stop=lambda: False):
        assert holder_of(tmp_path / "lock").startswith("a run that gathers datasets (pid ")
