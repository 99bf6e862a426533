"""`slipway history`: what happened to the versions of a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from flows.commands.arguments import add_name, operation_of
from tasks.reporting.terminal import printable


def run(arguments: Sequence[str]) -> int:
    """Print the events, oldest first."""
    parser = argparse.ArgumentParser(
        prog="slipway history", description="Say what happened to the versions of a model, oldest first."
    )
    add_name(parser)
    operation = operation_of(parser.parse_args(arguments))
    events = operation.place.registry.history.events()
    for event in events:
        forced = " (forced)" if event.forced else ""
        line = f"{event.at}  {event.version:>4}  {event.event:<11}  {event.who}  {event.why}{forced}"
        print(printable(line, sys.stdout))
    if not events:
        print(f"nothing has happened to {operation.name} yet")
    return 0
