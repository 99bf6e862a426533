"""`slipway settings`: the reference of all settings of a model, as Markdown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from settings.delivery import Parameters
from settings.document import document
from settings.modules import find_model
from tasks.models.builtin import BUILT_IN


def run(arguments: Sequence[str]) -> int:
    """Print the reference; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway settings",
        description="Print what can be set for a delivery, with defaults, bounds and meaning, as Markdown.",
    )
    parser.add_argument("--model", metavar="MODULE", help="of the model that this module defines")
    parser.parse_args(arguments)
    model = find_model(arguments, environ=os.environ, folder=Path.cwd(), default=BUILT_IN)
    sys.stdout.write(document(Parameters(model)))
    return 0
