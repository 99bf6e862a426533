"""The ports of a model's servers on this machine: a pair of its own, which is remembered with its channels.

The pair of the places counts where it is given. Else a model keeps the pair that it was first served at; a
new one gets the default pair, or the next one that is free and no other model of the models' root has.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from settings.errors import Surroundings
from tasks.channels import process
from tasks.channels.backend import Channel
from tasks.channels.files import CHANNELS, ChannelFiles
from tasks.channels.inspection import is_server_of
from tasks.store.files import write_json
from tasks.store.lock import model_lock
from tasks.store.schema import SCHEMA

FILE = "ports.json"  # in the folder of the model's channels
DEFAULT: Mapping[Channel, int] = {"stage": 8502, "production": 8501}
FURTHER = range(8503, 9000, 2)  # the stage's port of each further pair; production's is the next one


class Ports(Mapping[Channel, int]):
    """The port of each channel of one model, read anew at every access: another process may choose them."""

    def __init__(self, models_root: Path, name: str, host: str, given: Mapping[Channel, int]) -> None:
        """Take where the servers listen, and the ports that the places give, if any."""
        self.root = models_root.absolute() / CHANNELS
        self.name = name
        self.host = host
        self.given = dict(given)
        self._likely: Mapping[Channel, int] | None = None

    def __getitem__(self, channel: Channel) -> int:
        """Give the port of a channel: before the first reservation, that which it would be."""
        if channel in self.given:
            return self.given[channel]
        if (own := self._pair_of(self.name)) is not None:
            return own[channel]
        if self._likely is None:
            self._likely = self._choose()
        return self._likely[channel]

    def __iter__(self) -> Iterator[Channel]:
        return iter(DEFAULT)

    def __len__(self) -> int:
        return len(DEFAULT)

    def reserve(self) -> None:
        """Remember the pair, so that no other model gets it; Surroundings where none is free."""
        if self.given.keys() == DEFAULT.keys() or self._remembered(self.name) is not None:
            return
        with model_lock(self.root):  # one for all models: two that are served at once choose one by one
            pair = self._pair_of(self.name) or self._choose()
            write_json(self.root / self.name / FILE, {"schema": SCHEMA, **pair})

    def _pair_of(self, name: str) -> Mapping[Channel, int] | None:
        """Give the pair that a model has; None for one that was never served.

        One that was served before pairs were remembered has the default one.
        """
        if (remembered := self._remembered(name)) is not None:
            return remembered
        files = [ChannelFiles(self.root / name, channel) for channel in DEFAULT]
        return DEFAULT if any(each.document.exists() or each.kept.exists() for each in files) else None

    def _remembered(self, name: str) -> Mapping[Channel, int] | None:
        try:
            given = json.loads((self.root / name / FILE).read_bytes())
            return {channel: int(given[channel]) for channel in DEFAULT}
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # none, or damaged
            return None

    def _choose(self) -> Mapping[Channel, int]:
        """Give the first pair that nobody has."""
        names = [path.name for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
        pairs = (self._pair_of(name) for name in names if name != self.name)
        taken = {port for pair in pairs if pair is not None for port in pair.values()}
        taken |= set(self.given.values())
        further: Iterator[Mapping[Channel, int]] = (
            {"stage": port, "production": port + 1} for port in FURTHER
        )
        for pair in (DEFAULT, *further):
            own = {channel: port for channel, port in pair.items() if channel not in self.given}
            if not taken & set(own.values()) and all(self._is_free(*each) for each in own.items()):
                return pair
        raise Surroundings(
            f"no two ports up to {FURTHER[-1] + 1} are free: set STAGE_PORT and PRODUCTION_PORT"
        )

    def _is_free(self, channel: Channel, port: int) -> bool:
        """Tell whether the channel's server can listen there, or does already."""
        try:
            process.try_to_bind(self.host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return True  # a host that is none: whoever checks the channel says so
            listener = process.listener_on(port)
            return bool(listener) and is_server_of(
                listener or 0, ChannelFiles(self.root / self.name, channel).document
            )
        return True
