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
from tasks.channels.files import CHANNELS, ChannelFiles

ASK_SECONDS = 5.0
TOLD = {"document", "start", "settled", "version", "runtime", "digest", "error"}  # by every server


@dataclass(frozen=True)
class Found:
    """What is on a port; `health` is what the channel's server says of itself, `who` describes another one.

    `ours` reconciles with the channel's document and answers; `stuck` is ours and does not answer.
    `theirs` answers too, but is another user's, who is named by `who`.
    """

    kind: Literal["nothing", "ours", "stuck", "theirs", "stranger"]
    pid: int = 0
    health: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""
    root: Path | None = None  # the models' root of a stranger, where it is a local model server


def inspect(host: str, port: int, files: ChannelFiles, *, hint: int | None = None) -> Found:
    """Find out who listens on the port, from the view of the channel with those files.

    `hint` is the process that it may be; without one, or with a wrong one, all processes are searched.
    """
    found = _inspect_once(host, port, files, hint)
    if found.kind == "stranger" and _may_have_changed(found.pid, files.document):
        found = _inspect_once(host, port, files, hint)
    return found


def _may_have_changed(pid: int, document: Path) -> bool:
    """Tell whether one of ours may have ended, or handed its port over, just after its answer."""
    return not process.is_running(pid) or is_server_of(pid, document)


def _inspect_once(host: str, port: int, files: ChannelFiles, hint: int | None) -> Found:
    try:
        health = ask(host, port)
    except ConnectionRefusedError:
        return Found("nothing")
    # A server of before tells the path: it is known, so that a new one can take its place without a gap.
    if health is not None and health["document"] in (files.place_id, str(files.document)):
        start = str(health["start"])
        if pid := _that_answers(port, files.document, start, hint):
            other = process.other_user_of(pid)
            return Found("theirs" if other else "ours", pid, health, other)
    listener = process.listener_on(port)
    if health is None:
        if listener is None:  # ended meanwhile
            return Found("nothing")
        if listener and is_server_of(listener, files.document) and not process.other_user_of(listener):
            return Found("stuck", listener)
    return _stranger(listener or 0)


def _that_answers(port: int, document: Path, start: str, hint: int | None) -> int:
    """Give the model server of the document and the start that listens on the port; 0 if there is none.

    Of another user's, nobody but root can tell whether it listens: its command line is believed.
    """

    def fits(pid: int) -> bool:
        if not is_server_of(pid, document, start=start):
            return False
        return process.listens(pid, port) or bool(process.other_user_of(pid))

    return hint if hint and fits(hint) else next(filter(fits, process.pids()), 0)


def _stranger(pid: int) -> Found:
    """Describe a process that is no server of the channel; 0: another user's, of which nothing is known."""
    if not pid:
        return Found("stranger", who="another user's process")
    command = process.command_of(pid)
    if "tasks.serving" not in command or "--document" not in command[:-1]:
        return Found("stranger", pid, who=f"process {pid}: {' '.join(command)[:120]}")
    document = Path(command[command.index("--document") + 1])
    local = len(document.parts) > 3 and document.parent.parent.name == CHANNELS
    root = document.parents[2] if local else None
    return Found("stranger", pid, who=f"the model server of {document} (process {pid})", root=root)


def is_server_of(pid: int, document: Path, *, start: str | None = None) -> bool:
    """Tell whether the process was started as a model server with that document, and by that start."""
    command = process.command_of(pid)
    if "tasks.serving" not in command or str(document) not in command:
        return False
    return start is None or (start in command if start else "--start" not in command)


def servers_of(document: Path) -> list[int]:
    """Give the model servers with that document, on whatever ports, of whatever user; reads all of /proc."""
    return [pid for pid in process.pids() if is_server_of(pid, document) and process.has_our_root(pid)]


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
