"""`slipway restart`: new servers take over from those of this machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from flows.commands.arguments import add_name, settings_of
from settings.errors import WrongInput
from settings.places import read_places
from tasks.channels.local import LocalBackend
from tasks.start import start
from tasks.stopping import stop_in_order
from tasks.workplace import open_workplace


def run(arguments: Sequence[str]) -> int:
    """Start new servers; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway restart",
        description="Start new servers for what is served: each loads its version and takes the port over "
        "without dropping a request. What does not run is started, as by slipway start. No other version is "
        "wanted afterwards.",
    )
    add_name(parser)
    options = parser.parse_args(arguments)
    places, settings = read_places(os.environ, Path.cwd()), settings_of(options)
    place = open_workplace(places, options.name)
    if not isinstance(place.backend, LocalBackend):
        raise WrongInput(f"BACKEND={places.backend}: restart the servers where they are kept")
    with stop_in_order():
        for channel in place.backend.ports:
            place.backend.check(channel)
        for channel in place.backend.ports:
            place.backend.renew(channel)
        for line in start(place, settings.judging, settings.serving):
            print(line, flush=True)
    return 0
