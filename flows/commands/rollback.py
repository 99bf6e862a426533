"""`slipway rollback`: puts an earlier version back into production, at once and without Prefect.

An emergency waits neither for a delivery that runs nor for a server that would only watch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from flows.commands.arguments import add_name, operation_of
from tasks.rollback import go_back
from tasks.stopping import stop_in_order


def run(arguments: Sequence[str]) -> int:
    """Roll back; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway rollback",
        description="Put an earlier version back into production, and probe it there: at once, also while a "
        "delivery runs, and without Prefect. The versions that it takes out of production are not promoted "
        "again by a delivery without --force.",
    )
    parser.add_argument(
        "--to",
        type=positive,
        metavar="VERSION",
        help="default: the one before the present",
    )
    parser.add_argument("--why", default="", help="the reason, for the history")
    add_name(parser)
    options = parser.parse_args(arguments)
    operation = operation_of(options)
    place = operation.place
    with stop_in_order():
        done = go_back(place, options.to or 0, options.why, operation.judging, operation.serving)
    verb = "is" if done.changed else "was already"
    print(f"version {done.version} of {operation.name} {verb} in production at {done.url}")
    return 0


def positive(text: str) -> int:
    """Read a version; ValueError where it is none."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
