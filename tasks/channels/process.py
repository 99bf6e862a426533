"""Processes that outlive the command that started them: start, inspect, end."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")


def start(command: Sequence[str], *, log: Path, variables: Mapping[str, str]) -> int:
    """Start a process in its own session, with a fresh log; give its pid.

    It has no terminal, none of this process's open files (locks among them), and no variables of the
    environment but a few general ones. The log before is kept as `<log>.1`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**environment, **variables},
            start_new_session=True,
            close_fds=True,
        )
    # Whoever outlives its child has to wait for it, or it stays as a zombie.
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return process.pid


def is_running(pid: int) -> bool:
    """Tell whether the process is there and not a zombie."""
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def is_alive(process: psutil.Process) -> bool:
    """Tell whether it is the process that it was, and not a zombie, which nobody may ever wait for."""
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def pids() -> list[int]:
    """Give all processes that this user may see."""
    return psutil.pids()


def other_user_of(pid: int) -> str:
    """Give the name of the other user whose process it is; empty for one of this user's, or that is gone."""
    try:
        uid = psutil.Process(pid).uids().effective
    except psutil.NoSuchProcess:
        return ""
    if uid == os.geteuid():
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def command_of(pid: int) -> list[str]:
    """Give the command line of a process, decoded as this process decodes paths; empty if it is gone."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def has_our_root(pid: int) -> bool:
    """Tell whether a path means the same file to the process as to this one: in a container it does not."""
    try:
        return Path(f"/proc/{pid}/root").samefile("/")  # psutil does not tell
    except OSError:
        # Gone meanwhile, or another user's, whose root cannot be read; but a container numbers its processes.
        return _numbers(str(pid)) in (_numbers("self"), 0)


def _numbers(pid: str) -> int:
    """Give how many numbers a process has: one more in each container; 0 for one that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((len(line.split()) - 1 for line in lines if line.startswith("NSpid:")), 1)


def end(pid: int, *, patience_seconds: float) -> None:
    """End a process by SIGTERM, and by SIGKILL when it is still there after `patience_seconds`.

    Another process that got its number meanwhile is never signalled.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for send, seconds in ((process.terminate, patience_seconds), (process.kill, 5.0)):
            send()
            deadline = time.monotonic() + seconds
            # psutil's own wait would wait for a zombie too.
            while is_alive(process) and time.monotonic() < deadline:
                time.sleep(0.02)
            if not is_alive(process):
                return


def tail(log: Path, *, lines: int = 6) -> str:
    """Give the last lines of a log in one."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "no log"
    return " | ".join(text.strip().splitlines()[-lines:]) or "an empty log"


def listener_on(port: int) -> int | None:
    """Give the process that listens on a TCP port: its pid, 0 for another user's, None if there is none."""
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            return connection.pid or 0
    return None


def listens(pid: int, port: int) -> bool:
    """Tell whether this process of this user listens on a TCP port."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)


def try_to_bind(host: str, port: int) -> None:
    """Bind the address as a server would, and leave it again; raises OSError where that is impossible."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(*info[:3]) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(info[4])
