"""The files of a channel on this machine: its document, what it was stopped with, server and log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.channels.backend import Channel
from tasks.release.document import Wanted, place_id, revision_of
from tasks.store.files import publish, write_json

CHANNELS = "channels"  # below the models' root, with a folder for each model


@dataclass(frozen=True)
class ChannelFiles:
    """`<channel>.json`, `.stopped.json`, `.server.json` and `.log` of one channel, in one folder."""

    folder: Path
    channel: Channel

    @property
    def document(self) -> Path:
        """What the channel is wanted to serve; its server watches it."""
        return self.folder / f"{self.channel}.json"

    @property
    def kept(self) -> Path:
        """What the channel was wanted to serve when it was stopped; there until something is served again."""
        return self.folder / f"{self.channel}.stopped.json"

    @property
    def note(self) -> Path:
        """Which server was started for the channel; there as long as one is meant to run."""
        return self.folder / f"{self.channel}.server.json"

    @property
    def log(self) -> Path:
        """What the server writes; the log of the server before is beside it, with `.1`."""
        return self.folder / f"{self.channel}.log"

    def wanted(self) -> Wanted | None:
        """Give what the document says; None if there is none, or it cannot be read.

        Raises Newer where a newer Slipway wrote it.
        """
        return _read(self.document)

    def kept_wanted(self) -> Wanted | None:
        """Give what the channel was wanted to serve when it was stopped; None if nothing was put aside."""
        return _read(self.kept)

    def want(self, wanted: Wanted) -> str:
        """Replace the document; give its revision. To be called under the model's lock."""
        write_json(self.document, wanted.as_json())
        return self.revision()

    @property
    def place_id(self) -> str:
        """What the server calls the document's place: an id that tells the path to nobody."""
        return place_id(self.document)

    def revision(self) -> str:
        """Give what the server calls the document's revision; empty without a document."""
        try:
            return revision_of(self.document)
        except FileNotFoundError:
            return ""

    def read_note(self) -> dict[str, Any]:
        """Give the note; empty if there is none, or it cannot be read."""
        try:
            note = json.loads(self.note.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def write_note(self, note: dict[str, Any]) -> None:
        """Replace the note."""
        write_json(self.note, note)

    def forget(self, *, keep: bool = False) -> None:
        """Remove document and note: nothing is meant to be served; `keep` puts the document aside."""
        if keep and self.wanted() is not None:
            publish(self.document, self.kept)
        self.note.unlink(missing_ok=True)
        self.document.unlink(missing_ok=True)


def _read(document: Path) -> Wanted | None:
    try:
        content = document.read_bytes()
    except FileNotFoundError:
        return None
    return Wanted.read(content, str(document))
