"""`slipway start`: lets this machine serve again what it is meant to, as after a reboot or a stop."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from flows.commands.arguments import add_name, operation_of
from flows.commands.systemd import unit
from settings.errors import SlipwayError, Stopped, Surroundings
from tasks.start import start
from tasks.stopping import stop_in_order


def run(arguments: Sequence[str]) -> int:
    """Start what is meant to be served and is not; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway start",
        description="Bring production of every model on this machine to serve what it is meant to, after a "
        "reboot, a crash or a stop: the version of its document; after a stop, the version that was wanted "
        "then; without either, the one that the history says was served last. What is served already is left "
        "alone, and no other version is wanted afterwards. A stage that was left running, as by --until "
        "staged, comes back after a reboot, and not after a stop.",
    )
    add_name(parser, default="all models on this machine")
    parser.add_argument(
        "--print-unit",
        action="store_true",
        help="print a systemd unit of the user, which starts and stops it with the machine; start nothing",
    )
    options = parser.parse_args(arguments)
    operation = operation_of(options)
    if options.print_unit:
        print(unit(operation.places, os.environ, Path.cwd(), options.name), end="")
        return 0
    failures = []
    with stop_in_order():
        for name in operation.names:
            try:
                for line in start(operation.place_of(name), operation.judging, operation.serving):
                    print(line, flush=True)
            except Stopped:
                raise
            except SlipwayError as error:  # the others are started all the same
                failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise Surroundings("; ".join(map(str, failures)))
    return 0
