"""The option that the plain commands share: which model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from settings.delivery import Delivery, Parameters
from settings.places import read_places
from settings.sources import resolve
from tasks.models.builtin import BUILT_IN
from tasks.workplace import Workplace, open_workplace


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add --name; its default comes from the same sources as a delivery's."""
    parser.add_argument("--name", default=None, help="the model (default: serving.name of the settings)")


def settings_of(options: argparse.Namespace) -> Delivery:
    """Give the settings of the sources, for the model that --name names; sets options.name."""
    named = [] if options.name is None else ["--serving.name", options.name]
    delivery = resolve(named, Parameters(BUILT_IN), environ=os.environ, folder=Path.cwd()).delivery
    options.name = delivery.serving.name
    return delivery


def workplace_of(options: argparse.Namespace) -> Workplace:
    """Give the workplace of the model that --name names."""
    return open_workplace(read_places(os.environ, Path.cwd()), settings_of(options).serving.name)
