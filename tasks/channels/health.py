"""Whether a server serves what its channel is wanted to serve: what it says of itself, against the disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.channels.backend import Channel
from tasks.release.contract import MANIFEST
from tasks.release.document import Wanted
from tasks.store.files import sha256_of

DOUBT_SECONDS = 5.0  # a release on a network volume may appear a moment after its document


class Refusals:
    """What a server says against its document: believed at once where it is final, else when it stays."""

    def __init__(self) -> None:
        self._since: float | None = None

    def believed(self, health: Mapping[str, Any]) -> str:
        """Give the server's error once it is to be believed; empty before, and where there is none."""
        if not health["error"]:
            self._since = None
            return ""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return str(health["error"]) if health["settled"] or now - self._since >= DOUBT_SECONDS else ""


def has_reconciled(health: Mapping[str, Any], revision: str) -> bool:
    """Tell whether a server is done with that revision of its document: serves it, or has refused it."""
    return bool(health["settled"] and health["revision"] == revision)


def roots_of(channel: Channel, releases: Path, candidates: Path) -> list[Path]:
    """Give the folders of the versions that a channel may serve: production only those that were promoted."""
    return [releases, candidates] if channel == "stage" else [releases]


def shortcoming(health: Mapping[str, Any], wanted: Wanted | None, roots: Sequence[Path]) -> str:
    """Say why a server with this `health` does not serve what is wanted; empty where it does.

    `wanted` is None when the document cannot be read, `roots` are the folders that hold the versions.
    """
    version, runtime = int(health["version"]), str(health["runtime"])
    if health["error"]:
        return str(health["error"])
    if wanted is None:
        return "its document cannot be read"
    if (version, runtime) != (wanted.version, wanted.runtime):
        return f"it serves version {version} by {runtime or 'nothing'}"
    return difference(roots, version, str(health["digest"])) if version else ""


def difference(roots: Sequence[Path], version: int, digest: str) -> str:
    """Say how the release in the first root that has the version differs from that of the digest.

    Empty where it is that one. A version may have been removed by hand, and made anew under its number.
    """
    folder = next((root / str(version) for root in roots if (root / str(version)).is_dir()), None)
    if folder is None:
        return f"version {version}, which it serves, is not on the disk"
    try:
        same = sha256_of(folder / MANIFEST) == digest
    except OSError as error:
        return f"version {version}, which it serves, cannot be read: {error.strerror}"
    return "" if same else f"the version {version} that it serves is not that on the disk"
