"""The option that the plain commands share: which model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from settings.hyperparameters import ServingSettings
from settings.places import read_places
from settings.sources import resolve
from tasks.workplace import Workplace, open_workplace


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add --name; its default comes from the same sources as a delivery's."""
    parser.add_argument("--name", default=None, help="the model (default: serving.name of the settings)")


def serving_settings(options: argparse.Namespace) -> ServingSettings:
    """Give the serving settings of the sources, for the model that --name names; sets options.name."""
    serving = resolve([], environ=os.environ, folder=Path.cwd()).delivery.serving
    if options.name is not None:
        serving = ServingSettings.model_validate(serving.model_dump() | {"name": options.name})
    options.name = serving.name
    return serving


def workplace_of(options: argparse.Namespace) -> Workplace:
    """Give the workplace of the model that --name names."""
    return open_workplace(read_places(os.environ, Path.cwd()), serving_settings(options).name)
