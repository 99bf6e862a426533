"""Processes that outlive the command that started them: start, look, end. Linux only: reads /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
LISTENING = "0A"  # in /proc/net/tcp


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
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in ("Z", "X")


def own_pids() -> list[int]:
    """Give the processes of this user."""
    pids = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
            if folder.name.isdigit() and folder.stat().st_uid == os.geteuid():
                pids.append(int(folder.name))
    return pids


def command_of(pid: int) -> list[str]:
    """Give the command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_our_root(pid: int) -> bool:
    """Tell whether a path means the same file to the process as to this one: in a container it does not."""
    try:
        return Path(f"/proc/{pid}/root").samefile("/")
    except OSError:  # gone meanwhile, or a kernel that does not tell
        return True


def end(pid: int, *, patience_seconds: float) -> None:
    """End a process by SIGTERM, and by SIGKILL when it is still there after `patience_seconds`."""
    for number, seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while is_running(pid):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
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
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # no IPv6
            continue
        for row in rows:
            _, local, _, state, *_, inode = row.split()[:10]
            if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{inode}]")
    if not inodes:
        return None
    pids = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return next((pid for pid in pids if _holds(pid, inodes)), 0)


def try_to_bind(host: str, port: int) -> None:
    """Bind the address as a server would, and leave it again; raises OSError where that is impossible."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(*info[:3]) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(info[4])


def _holds(pid: int, inodes: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in inodes for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # gone meanwhile, or another user's
        return False
