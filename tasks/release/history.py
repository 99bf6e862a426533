"""The history of a model: one line of JSON per event, only ever appended to."""

from __future__ import annotations

import getpass
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

EventName = Literal["exported", "staged", "judged", "promoted", "rolled back"]


class Event(BaseModel):
    """What happened to a version: when, by whom and why."""

    model_config = ConfigDict(frozen=True)

    event: EventName
    version: int
    digest: str  # of the release
    at: str  # UTC, ISO 8601
    who: str
    why: str
    champion: int | None = None  # judged and promoted: the version that was in production
    forced: bool = False  # promoted in spite of a failed gate


class History:
    """The events of one model, oldest first, in `models/NAME/history.jsonl`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[Event]:
        """Give all events; a line that is damaged, as by a killed writer, is none."""
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_bytes().splitlines():
            try:
                events.append(Event.model_validate(json.loads(line)))
            except ValueError:
                continue
        return events

    def append(self, event: EventName, version: int, digest: str, why: str, **more: Any) -> Event:
        """Add an event, in one write, flushed to the disk."""
        entry = Event(
            event=event,
            version=version,
            digest=digest,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            who=this_user(),
            why=why,
            **more,
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            torn = b""
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                torn = b"" if file.read(1) == b"\n" else b"\n"  # a killed writer's line stays alone
            file.write(torn + entry.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return entry

    def served(self) -> list[int]:
        """Give the versions that lead to the one in production, which is last.

        A promotion adds its version; a rollback takes away what came after the version it went back to, so
        that the next rollback goes further back and never to a version that was itself rolled back.
        """
        stack: list[int] = []
        for event in self.events():
            if event.event == "promoted":
                stack = [version for version in stack if version != event.version] + [event.version]
            elif event.event == "rolled back":
                stack = stack[: stack.index(event.version)] if event.version in stack else stack
                stack.append(event.version)
        return stack

    def last(self, event: EventName, version: int) -> Event | None:
        """Give the newest event of that name of a version."""
        found = [entry for entry in self.events() if (entry.event, entry.version) == (event, version)]
        return found[-1] if found else None


def this_user() -> str:
    """Give who runs this, as user@host; a container may have no user name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
