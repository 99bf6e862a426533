"""`slipway stop`: stops the stage and production of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import add_name, workplace_of
from tasks.channels.backend import Channel
from tasks.store.lock import run_lock


def run(arguments: Sequence[str]) -> int:
    """Stop what runs, and wait until it has ended."""
    parser = argparse.ArgumentParser(
        prog="slipway stop",
        description="Stop the model servers of this machine: what is in flight is answered.",
    )
    add_name(parser)
    options = parser.parse_args(arguments)
    place = workplace_of(options)
    channels: tuple[Channel, ...] = ("stage", "production")
    with run_lock(place.store.models_root, what="a stop"):
        for channel in channels:
            serving = place.backend.current(channel)
            place.backend.remove(channel)
            what = "nothing was running" if serving is None else f"version {serving.version} stopped"
            print(f"{channel:<10}  {what}")
    return 0
