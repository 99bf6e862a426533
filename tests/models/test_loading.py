"""What native code prints while TensorFlow is imported is not shown; what is logged meanwhile is."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from tasks.models.loading import native_stderr_aside


def test_what_native_code_prints_is_not_shown(capfd):
    """Unless the block fails: then it may say why."""
    with native_stderr_aside():
        os.write(2, b"native")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), native_stderr_aside():
        os.write(2, b"native") / 0
    assert capfd.readouterr().err == "native"


def test_what_another_thread_logs_meanwhile_is_shown(capfd, monkeypatch):
    """A warning that comes in the seconds of the import, as of a lost server, is not lost with the rest."""
    reached = threading.Event()
    with open(2, "w", closefd=False) as stream:
        handler = logging.StreamHandler(stream)
        handler.addFilter(lambda record: reached.set() or True)
        monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
        thread = threading.Thread(target=logging.getLogger("tasks.x").warning, args=("logged",))
        with native_stderr_aside():
            thread.start()
            assert reached.wait(30)
            thread.join(0.5)  # as long as it takes to write a line, if it is not held
            os.write(2, b"native")
        thread.join()
    assert capfd.readouterr().err == "logged\n"
