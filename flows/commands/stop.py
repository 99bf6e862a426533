"""`slipway stop`: stops the stage and production of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import add_name, operation_of
from settings.errors import Surroundings
from tasks.channels.backend import Backend, Channel


def run(arguments: Sequence[str]) -> int:
    """Stop what runs, and wait until it has ended; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway stop",
        description="Stop the model servers of this machine, of every model unless --name names one: what is "
        "in flight is answered. What production was wanted to serve stays on record: slipway start brings "
        "the very same back, and a rollback goes back from there. The stage is over.",
    )
    add_name(parser, default="all models on this machine")
    operation = operation_of(parser.parse_args(arguments))
    channels: tuple[Channel, ...] = ("stage", "production")
    refusals = []
    for name in operation.names:
        backend = operation.place_of(name).backend
        for channel in channels:
            try:
                print(f"{channel:<10}  {stop(backend, channel, name)}")
            except Surroundings as refusal:  # the others are stopped all the same
                refusals.append(str(refusal))
    if refusals:
        raise Surroundings("; ".join(refusals))
    return 0


def stop(backend: Backend, channel: Channel, name: str) -> str:
    """Stop a channel; say what was stopped."""
    serving = backend.current(channel)
    backend.remove(channel, keep=channel == "production")
    if serving is None:
        return "nothing was running"
    # Nobody answers here where the server has crashed, or was started for another port.
    version = serving.version or (serving.wanted.version if serving.wanted else "?")
    return f"version {version} of {name} stopped"
