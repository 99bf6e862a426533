"""Processes that outlive the command that started them."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.channels import process


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[bytes]]:
    """A child that does not listen to SIGTERM, and of which nobody takes note when it has ended."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('there', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_a_zombie_does_not_run(deaf):
    """A process that has ended counts as ended, also where its parent never asks for it."""
    assert process.is_running(deaf.pid)
    deaf.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, deaf.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(deaf.pid).status() == psutil.STATUS_ZOMBIE
    assert not process.is_running(deaf.pid)
    deaf.wait()
    assert not process.is_running(deaf.pid)


def test_who_does_not_hear_is_killed(deaf):
    """SIGKILL comes where SIGTERM is not heard, and a zombie is not waited for."""
    process.end(deaf.pid, patience_seconds=0.1)
    os.waitid(os.P_PID, deaf.pid, os.WEXITED | os.WNOWAIT)
    assert deaf.wait() == -signal.SIGKILL
    process.end(deaf.pid, patience_seconds=0.1)  # gone: nothing to do


def test_a_number_that_was_given_out_again_is_not_signalled(deaf, monkeypatch):
    """What got the number of the process after its end is left alone."""
    terminate = psutil.Process.terminate

    def terminate_late(ending: psutil.Process) -> None:
        vars(ending)["_ident"] = (
            ending.pid,
            1.0,
        )  # as of another start
        terminate(ending)

    monkeypatch.setattr(psutil.Process, "terminate", terminate_late)
    process.end(deaf.pid, patience_seconds=0.1)
    assert deaf.poll() is None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_who_listens_on_a_port_is_found(family):
    """On either protocol; who has only bound it does not listen, nor who is connected."""
    host = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}[family]
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        port = listener.getsockname()[1]
        assert process.listener_on(port) is None
        listener.listen()
        assert process.listener_on(port) == os.getpid()
        with socket.create_connection((host, port)) as connection:
            assert process.listener_on(connection.getsockname()[1]) is None


def test_a_command_line_is_decoded_as_paths_are(tmp_path):
    """A path is the same text in a command line as in this process, whatever bytes its name has."""
    path = str(tmp_path / os.fsdecode(b"ma\xc3\x9f-gr\xfc\xdf"))
    with subprocess.Popen([sys.executable, "-c", "input()", path], stdin=subprocess.PIPE) as child:
        assert process.command_of(child.pid)[-1] == path
        child.communicate(b"\n")
    assert process.command_of(child.pid) == []


def test_another_user_s_container_is_known_by_its_numbers(monkeypatch):
    """Its root is told to nobody but root; a process in a container has one number more, or fewer."""

    def closed(path, other):
        raise PermissionError(f"{path}, {other}")

    monkeypatch.setattr(Path, "samefile", closed)
    assert process.has_our_root(os.getpid())
    monkeypatch.setattr(process, "_numbers", {"self": 1, "7": 2}.__getitem__)
    assert not process.has_our_root(7)


def test_whose_process_it_is(monkeypatch):
    """Another user is named, or numbered; nobody is for this one, or for a process that is gone."""
    assert process.other_user_of(os.getpid()) == ""
    assert process.other_user_of(2**22) == ""
    name = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 65_533)
    assert process.other_user_of(os.getpid()) == name
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert process.other_user_of(os.getpid()) == str(os.getuid())
