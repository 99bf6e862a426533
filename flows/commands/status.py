"""`slipway status`: what the channels serve."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import add_name, workplace_of
from settings.errors import SlipwayError
from tasks.channels.backend import Backend, Channel


def run(arguments: Sequence[str]) -> int:
    """Say what is served; 0 when production is well, 3 when it is not."""
    parser = argparse.ArgumentParser(prog="slipway status", description="Say what the channels serve.")
    add_name(parser)
    options = parser.parse_args(arguments)
    place = workplace_of(options)
    channels: tuple[Channel, ...] = ("stage", "production")
    well = False
    for channel in channels:
        serving = place.backend.current(channel)
        if serving is None:
            print(f"{channel:<10}  nothing{reason(place.backend, channel)}")
            continue
        state = "well" if serving.healthy else serving.detail
        version = f"version {serving.version}" if serving.version else "no version"
        what = f"{version} of {options.name} at {serving.endpoint.url}"
        print(f"{channel:<10}  {what}: {state}")
        well = serving.healthy if channel == "production" else well
    return 0 if well else 3


def reason(backend: Backend, channel: Channel) -> str:
    """Say what a channel that serves nothing was stopped with, and who is in its place."""
    kept = backend.kept(channel)
    told = [f"version {kept.version} was stopped (slipway start)"] if kept is not None else []
    try:
        backend.check(channel)
    except SlipwayError as error:
        told.append(str(error))
    return f": {'; '.join(told)}" if told else ""
