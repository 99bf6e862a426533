"""The history of a model: one line of JSON per event, only ever appended to."""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.store.files import flush, make_folder
from tasks.store.lock import model_lock
from tasks.store.schema import SCHEMA, check_schema

EventName = Literal["exported", "staged", "judged", "promoted", "rolled back", "pruned"]


class Statistic(BaseModel):
    """What a judging measured of a version, and a digest of what it was measured on."""

    model_config = ConfigDict(frozen=True)

    value: float
    on: str


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
    forced: bool = False  # promoted in spite of a failed gate, or of an operator who had taken it back
    left: int | None = None  # promoted and rolled back: the version that production served until then
    verdict: str | None = None  # judged: the digest of the verdict
    statistics: Mapping[str, Statistic] | None = None  # judged: by name, as the champion's gate compares them


class History:
    """The events of one model, oldest first, in `models/NAME/history.jsonl`."""

    def __init__(self, path: Path, who: str = "") -> None:
        """Take the file, and who does what is appended; the account of this process where none is named."""
        self.path = path
        self.who = who

    def events(self) -> list[Event]:
        """Give all events; a line that is damaged, as by a killed writer, is none.

        Raises Newer where a newer Slipway has added a line.
        """
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_bytes().splitlines():
            try:
                content = json.loads(line)
                if isinstance(content, dict):
                    check_schema(content, str(self.path))
                events.append(Event.model_validate(content))
            except ValueError:
                continue
        return events

    def append(self, event: EventName, version: int, digest: str, why: str, **more: Any) -> Event:
        """Add an event under the model's lock, in one write, flushed to the disk."""
        entry = Event(
            event=event,
            version=version,
            digest=digest,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            who=self.who or account(),
            why=why,
            **more,
        )
        line = json.dumps({"schema": SCHEMA, **entry.model_dump()}, ensure_ascii=False).encode()
        make_folder(self.path.parent)
        with model_lock(self.path.parent), self.path.open("ab+") as file:
            torn = b""
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                torn = b"" if file.read(1) == b"\n" else b"\n"  # a killed writer's line stays alone
            file.write(torn + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        flush(self.path.parent)
        return entry

    def served(self) -> list[int]:
        """Give the versions that lead to the one in production, which is last.

        A promotion adds its version; a rollback takes away what came after the version it went back to, so
        that the next rollback goes further back and never to a version that was itself rolled back.
        """
        stack: list[int] = []
        for event in self.events():
            stack, _ = after(stack, event)
        return stack

    def promoted(self) -> set[int]:
        """Give the versions that were in production: those that a rollback may lead to."""
        return {event.version for event in self.events() if event.event in ("promoted", "rolled back")}

    def taken_back(self) -> dict[str, Event]:
        """Give the rollback that took a release out of production for good: see `taken_back`."""
        return taken_back(self.events())

    def last(self, event: EventName, version: int) -> Event | None:
        """Give the newest event of that name of a version."""
        found = [entry for entry in self.events() if (entry.event, entry.version) == (event, version)]
        return found[-1] if found else None


def taken_back(events: Sequence[Event]) -> dict[str, Event]:
    """Give the rollback that took a release out of production for good, by the digest of the release.

    It takes back the version that was served, and those that were promoted after the one it went back to.
    The next promotion of the release, or a rollback to it, lifts that.
    """
    stack: list[int] = []
    digests: dict[int, str] = {}
    taken: dict[str, Event] = {}
    for event in events:
        digests[event.version] = event.digest
        stack, gone = after(stack, event)
        taken |= {digests[version]: event for version in gone if version in digests}
        if event.event in ("promoted", "rolled back"):
            taken.pop(event.digest, None)
    return taken


def after(stack: list[int], event: Event) -> tuple[list[int], set[int]]:
    """Give what `served` gives after one more event, and the versions that it took out of production."""
    version = event.version
    if event.event == "promoted":
        # Production was brought back by hand to what the promotion left: what came after that was taken back.
        kept = stack[: stack.index(event.left) + 1] if event.left in stack else stack
        return [*(each for each in kept if each != version), version], {*stack[len(kept) :]} - {version}
    if event.event != "rolled back":
        return stack, set()
    position = stack.index(version) if version in stack else len(stack)
    left = event.left if event.left is not None else next(iter(stack[-1:]), version)
    return [*stack[:position], version], {left, *stack[position:]} - {version}


def account() -> str:
    """Give who runs this, as user@host, by the passwd database; the user's number where it has no name.

    Variables of the environment do not decide it: whoever runs this can set them.
    """
    number = os.geteuid()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:
        user = str(number)
    return f"{user}@{socket.gethostname()}"
