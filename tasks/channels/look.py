"""Who is on a channel's port: nobody, the channel's own server, or someone else.

A server is known by what it says of itself: the document that it obeys, its process and the id of its start.
A pid in a file or in an answer proves nothing: the kernel gives pids out again, and anyone may answer. So a
process is taken for the channel's own, to be ended, only by its command line.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasks.channels import process

ASK_SECONDS = 5.0
TOLD = {"pid", "document", "start", "settled", "version", "runtime", "digest", "error"}  # by every server


@dataclass(frozen=True)
class Found:
    """What is on a port; `health` is what our own server says of itself, `who` describes a stranger.

    `ours` obeys the channel's document and answers; `stuck` is ours and does not answer.
    """

    kind: Literal["nothing", "ours", "stuck", "stranger"]
    pid: int = 0
    health: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""


def look(host: str, port: int, document: Path) -> Found:
    """Find out who listens on the port, from the view of the channel with that document."""
    found = _look_once(host, port, document)
    if found.kind == "stranger" and not process.is_running(found.pid):
        found = _look_once(host, port, document)  # one of ours may have ended just after its answer
    return found


def _look_once(host: str, port: int, document: Path) -> Found:
    try:
        health = ask(host, port)
    except ConnectionRefusedError:
        return Found("nothing")
    if health is not None:
        return _known(health, document)
    pid = process.listener_on(port)
    if pid is None:  # ended meanwhile
        return Found("nothing")
    if pid and is_server_of(pid, document):
        return Found("stuck", pid)
    command = " ".join(process.command_of(pid))[:120]
    return Found("stranger", pid, who=f"process {pid}: {command}" if pid else "another user's process")


def _known(health: Mapping[str, Any], document: Path) -> Found:
    """Tell whose server gave that answer."""
    pid = health["pid"]
    if type(pid) is not int:
        return Found("stranger", who=f"something that gives {str(pid)[:40]!r} as its process")
    if health["document"] != str(document):
        return Found("stranger", pid, who=f"the model server of {health['document']} (process {pid})")
    if not is_server_of(pid, document):
        who = f"something that answers for {document} as process {pid}, which is no model server of it"
        return Found("stranger", pid, who=who)
    return Found("ours", pid, health)


def is_server_of(pid: int, document: Path) -> bool:
    """Tell whether the process was started as a model server with that document."""
    command = process.command_of(pid)
    return "tasks.serving" in command and str(document) in command


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
        return health
    return None
