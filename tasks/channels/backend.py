"""What every backend of channels promises: put, current, remove, check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from settings.errors import Overruled
from tasks.release.document import Wanted

Channel = Literal["stage", "production"]

Claim = Callable[[], object]
"""Called under the model's lock right before a document changes; what it raises keeps it from changing."""

SERVE_IMAGE_RUNTIMES = ("litert",)  # of the image `serve`, in which there is no TensorFlow


def unconditional() -> None:
    """Claim nothing: the document changes in any case."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers: `{url}/v1/models/{name}:predict`."""

    url: str
    name: str
    token_file: Path | None = None  # with the token that its server asks for


@dataclass(frozen=True)
class Serving:
    """What a channel serves now.

    `healthy` says that the wanted version is served, by a server of the present code; `detail` says what is
    the matter otherwise. `version` is 0 when nothing is served, `wanted` is None when the document cannot be
    read, `digest` is the SHA-256 of the served release's manifest.
    """

    version: int
    healthy: bool
    endpoint: Endpoint
    detail: str
    wanted: Wanted | None = None
    digest: str = ""
    fallback: bool = False  # the version before is served, since the wanted one is damaged


def replaced(channel: Channel, wanted: Wanted, now: Wanted | None) -> Overruled:
    """Say that a channel's document was replaced by another one, or removed, before it was reconciled."""
    what = f"was brought to version {now.version}" if now and now.version else "was stopped"
    meant = f"version {wanted.version}" if wanted.version else "nothing"
    return Overruled(f"{channel} {what} by somebody else while it was brought to serve {meant}")


class Backend(Protocol):
    """Brings channels to serve versions.

    A document changes under the model's lock, which is not held while a server is waited for. So another
    process may change it meanwhile: whoever waits for what it replaced ends with Overruled, and leaves alone
    what is not its own any more.
    """

    rollout_seconds: float
    """How long a rollout may take: a server that is not ready by then will not be."""

    runtimes: tuple[str, ...]
    """What its servers can compute the answers with."""

    def put(
        self,
        channel: Channel,
        wanted: Wanted,
        *,
        should_stop: Callable[[], bool],
        claim: Claim = unconditional,
    ) -> Endpoint:
        """Bring the channel to serve what is wanted; return when its endpoint is ready with that version.

        Starts or mends what has to run; changes nothing where all is as wanted, and claims nothing then. On
        failure what was served before goes on being served, and Surroundings tells the server's own reason.
        Raises Stopped when `should_stop` says so, and Overruled where the document was replaced meanwhile.
        """

    def document(self, channel: Channel) -> Wanted | None:
        """Give what the document says; None where there is none or it cannot be read. Asks no server."""

    def current(self, channel: Channel) -> Serving | None:
        """Give what the channel serves; None if it is not up, and is not meant to be."""

    def remove(self, channel: Channel, *, claim: Claim = unconditional, keep: bool = False) -> None:
        """Stop what serves the channel, and wait until it has ended.

        With `keep`, what it was wanted to serve stays on record, where the backend has a place for it.
        """

    def kept(self, channel: Channel) -> Wanted | None:
        """Give what the channel was wanted to serve when it was removed; None where that is not on record."""

    def check(self, channel: Channel) -> None:
        """Raise Surroundings if something that is not this channel's own is in its place."""
