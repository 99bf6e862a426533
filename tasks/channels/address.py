"""Where a channel of this machine listens, and what is wrong with that."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from settings.errors import Surroundings
from tasks.channels import process
from tasks.channels.files import ChannelFiles
from tasks.channels.inspection import Found, inspect

PORT_VARIABLES = {"stage": "STAGE_PORT", "production": "PRODUCTION_PORT"}


@dataclass(frozen=True)
class Address:
    """The host and the port of the channel with those files, below a models' root."""

    host: str
    port: int
    files: ChannelFiles
    models_root: Path

    @property
    def reachable_host(self) -> str:
        """The host by which this machine reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Where it answers, or would."""
        host = self.reachable_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def inspect(self) -> Found:
        """Find out who listens there."""
        return inspect(self.reachable_host, self.port, self.files, hint=self.files.read_note().get("pid"))

    def check_free(self, found: Found) -> None:
        """Raise Surroundings where no server could listen there; `found` is what was found before."""
        channel = self.files.channel
        try:
            process.try_to_bind(self.host, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise self.taken(found) from error
            raise Surroundings(
                f"{channel} cannot listen on {self.host}:{self.port} ({error.strerror}): "
                f"set SERVING_HOST or {PORT_VARIABLES[channel]}"
            ) from error

    def taken(self, found: Found) -> Surroundings:
        """Say who holds the port, and what to do about it."""
        channel = self.files.channel
        holder = f"held by {found.who}" if found.who else "taken"
        variable = PORT_VARIABLES[channel]
        if found.root == self.models_root:
            remedy = f"unset {variable}, by which each model gets a port of its own"
        elif found.root is not None:
            remedy = f"set MODELS_ROOT to {found.root}, whose server it is"
        else:
            remedy = "end that"
        return Surroundings(
            f"port {self.port} of {channel} is {holder}: {remedy}, or set {variable} to a free port"
        )
