"""`slipway restart`: new servers take over from those of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import add_name, operation_of
from settings.errors import WrongInput
from tasks.channels.local import LocalBackend
from tasks.start import start
from tasks.stopping import stop_in_order


def run(arguments: Sequence[str]) -> int:
    """Start new servers; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway restart",
        description="Start new servers for what is served: each loads its version and takes the port over "
        "without dropping a request. What does not run is started, as by slipway start. No other version is "
        "wanted afterwards.",
    )
    add_name(parser)
    operation = operation_of(parser.parse_args(arguments))
    place = operation.place
    if not isinstance(place.backend, LocalBackend):
        raise WrongInput(f"BACKEND={operation.places.backend}: restart the servers where they are kept")
    with stop_in_order():
        for channel in place.backend.ports:
            place.backend.check(channel)
        for channel in place.backend.ports:
            place.backend.renew(channel)
        for line in start(place, operation.judging, operation.serving):
            print(line, flush=True)
    return 0
