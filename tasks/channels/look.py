"""Who is on a channel's port: nobody, the channel's own server, or someone else.

A server tells everybody the id of its document's place and the id of its start, and neither path nor pid.
An answer or a pid in a file proves nothing: anyone may answer, and the kernel gives pids out again. So a
process is taken for the channel's own, to be ended, only by its command line, in which document and start
stand; and an answer for that of this process only where it listens on the port that was asked.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasks.channels import process
from tasks.channels.files import ChannelFiles

ASK_SECONDS = 5.0
TOLD = {"document", "start", "settled", "version", "runtime", "digest", "error"}  # by every server


@dataclass(frozen=True)
class Found:
    """What is on a port; `health` is what our own server says of itself, `who` describes a stranger.

    `ours` obeys the channel's document and answers; `stuck` is ours and does not answer.
    """

    kind: Literal["nothing", "ours", "stuck", "stranger"]
    pid: int = 0
    health: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""


def look(host: str, port: int, files: ChannelFiles, *, hint: int | None = None) -> Found:
    """Find out who listens on the port, from the view of the channel with those files.

    `hint` is the process that it may be; without one, or with a wrong one, all processes are looked through.
    """
    found = _look_once(host, port, files, hint)
    if found.kind == "stranger" and _may_have_changed(found.pid, files.document):
        found = _look_once(host, port, files, hint)
    return found


def _may_have_changed(pid: int, document: Path) -> bool:
    """Tell whether one of ours may have ended, or handed its port over, just after its answer."""
    return not process.is_running(pid) or is_server_of(pid, document)


def _look_once(host: str, port: int, files: ChannelFiles, hint: int | None) -> Found:
    try:
        health = ask(host, port)
    except ConnectionRefusedError:
        return Found("nothing")
    # A server of before tells the path: it is known, so that a new one can take its place without a gap.
    if health is not None and health["document"] in (files.place_id, str(files.document)):
        start = str(health["start"])
        if pid := _that_answers(port, files.document, start, hint):
            return Found("ours", pid, health)
    listener = process.listener_on(port)
    if health is None:
        if listener is None:  # ended meanwhile
            return Found("nothing")
        if listener and is_server_of(listener, files.document):
            return Found("stuck", listener)
    return Found("stranger", listener or 0, who=_who(listener or 0))


def _that_answers(port: int, document: Path, start: str, hint: int | None) -> int:
    """Give the model server of the document and the start that listens on the port; 0 if there is none."""

    def fits(pid: int) -> bool:
        return is_server_of(pid, document, start=start) and process.listens(pid, port)

    return hint if hint and fits(hint) else next(filter(fits, process.own_pids()), 0)


def _who(pid: int) -> str:
    command = process.command_of(pid) if pid else []
    if "tasks.serving" in command and "--document" in command[:-1]:
        return f"the model server of {command[command.index('--document') + 1]} (process {pid})"
    return f"process {pid}: {' '.join(command)[:120]}" if pid else "another user's process"


def is_server_of(pid: int, document: Path, *, start: str | None = None) -> bool:
    """Tell whether the process was started as a model server with that document, and by that start."""
    command = process.command_of(pid)
    if "tasks.serving" not in command or str(document) not in command:
        return False
    return start is None or (start in command if start else "--start" not in command)


def servers_of(document: Path) -> list[int]:
    """Give this user's model servers with that document, on whatever ports; reads all of /proc."""
    return [pid for pid in process.own_pids() if is_server_of(pid, document) and process.has_our_root(pid)]


def answer_of(host: str, port: int) -> dict[str, Any] | None:
    """Give what a model server says of itself; None where none answers, for whatever reason."""
    try:
        return ask(host, port)
    except ConnectionRefusedError:
        return None


def ask(host: str, port: int) -> dict[str, Any] | None:
    """Give what a model server says of itself; None if whoever listens is none, or does not answer."""
    connection = http.client.HTTPConnection(host, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        health = json.loads(connection.getresponse().read(65_536))
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if isinstance(health, dict) and health.keys() >= TOLD:
        return {"revision": "", **health}
    return None
