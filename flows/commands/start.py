"""`slipway start`: lets this machine serve again what it is meant to, as after a reboot or a stop."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from flows.commands.arguments import add_name, settings_of
from flows.commands.systemd import unit
from settings.places import read_places
from tasks.start import start
from tasks.stopping import stop_in_order
from tasks.workplace import open_workplace


def run(arguments: Sequence[str]) -> int:
    """Start what is meant to be served and is not; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway start",
        description="Bring production to serve what it is meant to, after a reboot, a crash or a stop: the "
        "version of its document; after a stop, the version that was wanted then; without either, the one "
        "that the history says was served last. What is served already is left alone, and no other version "
        "is wanted afterwards. A stage that was left running, as by --until staged, comes back after a "
        "reboot, and not after a stop.",
    )
    add_name(parser)
    parser.add_argument(
        "--print-unit",
        action="store_true",
        help="print a systemd unit of the user, which starts and stops it with the machine; start nothing",
    )
    options = parser.parse_args(arguments)
    places, settings = read_places(os.environ, Path.cwd()), settings_of(options)
    if options.print_unit:
        print(unit(places, os.environ, Path.cwd(), options.name), end="")
        return 0
    with stop_in_order():
        for line in start(open_workplace(places, options.name), settings.judging, settings.serving):
            print(line, flush=True)
    return 0
