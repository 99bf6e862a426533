"""`slipway rollback`: puts an earlier version back into production."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from flows.commands.arguments import add_name, settings_of
from flows.commands.engine import ready_prefect
from settings.places import read_places
from tasks.workplace import open_workplace


def run(arguments: Sequence[str]) -> int:
    """Roll back; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway rollback",
        description="Put an earlier version back into production, and probe it there.",
    )
    parser.add_argument(
        "--to",
        type=positive,
        metavar="VERSION",
        help="default: the one before the present",
    )
    parser.add_argument("--why", default="", help="a reason for the history")
    add_name(parser)
    options = parser.parse_args(arguments)
    places, settings = read_places(os.environ, Path.cwd()), settings_of(options)
    open_workplace(places, settings.serving.name)  # a backend may not work from here
    with ready_prefect(places.models_root, "a rollback"):
        from flows.rollback import rollback

        done = rollback(options.to or 0, options.why, settings.judging, settings.serving)
    verb = "is" if done.changed else "was already"
    print(f"version {done.version} of {options.name} {verb} in production at {done.url}")
    return 0


def positive(text: str) -> int:
    """Read a version; ValueError where it is none."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
