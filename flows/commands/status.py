"""`slipway status`: what the channels of each model serve."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import Operation, add_name, operation_of
from settings.errors import SlipwayError
from tasks.channels.backend import Backend, Channel

CHANNELS: tuple[Channel, ...] = ("stage", "production")


def run(arguments: Sequence[str]) -> int:
    """Say what is served; 0 when production of each model that is meant to be served is well, 3 when not."""
    parser = argparse.ArgumentParser(
        prog="slipway status",
        description="Say what the channels serve, of every model on this machine: version, address, health.",
    )
    add_name(parser, default="all models on this machine")
    operation = operation_of(parser.parse_args(arguments))
    names = operation.names
    found = [say(operation, name, alone=len(names) == 1) for name in names]
    meant = [well for well in found if well is not None]
    return 0 if meant and all(meant) else 3


def say(operation: Operation, name: str, *, alone: bool) -> bool | None:
    """Print what a model's channels serve; give whether production is well, None if it is not meant to be.

    What cannot be told of one model keeps nobody from that of the others.
    """
    well = None
    try:
        backend = operation.place_of(name).backend
        for channel in CHANNELS:
            serving = backend.current(channel)
            if serving is None:
                what = "nothing" if alone else f"nothing of {name}"
                print(f"{channel:<10}  {what}{reason(backend, channel)}")
                continue
            state = "well" if serving.healthy else serving.detail
            version = f"version {serving.version}" if serving.version else "no version"
            print(f"{channel:<10}  {version} of {name} at {serving.endpoint.url}: {state}")
            well = serving.healthy if channel == "production" else well
    except SlipwayError as error:
        if alone:
            raise
        print(f"{name}: {error}")
        return False
    return well


def reason(backend: Backend, channel: Channel) -> str:
    """Say what a channel that serves nothing was stopped with, and who is in its place."""
    kept = backend.kept(channel)
    messages = [f"version {kept.version} was stopped (slipway start)"] if kept is not None else []
    try:
        backend.check(channel)
    except SlipwayError as error:
        messages.append(str(error))
    return f": {'; '.join(messages)}" if messages else ""
