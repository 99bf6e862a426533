"""Which model the plain commands are about, without any module of a user: the way back has to work always."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from settings.errors import WrongInput
from settings.given import Given, refuse, validated
from settings.hyperparameters import JudgingSettings, ServingSettings
from settings.places import Places, read_places
from settings.sources import read_serving
from tasks.workplace import Workplace, models_of, open_workplace


@dataclass(frozen=True)
class Operation:
    """What a command has to know: the places, the model of --name, and how models are served and probed."""

    places: Places
    named: str | None
    serving: ServingSettings
    judging: JudgingSettings

    @property
    def name(self) -> str:
        """The model of a command that is about one.

        It is what --name says, else serving.name of the settings, else the only model that there is, else
        mnist. WrongInput names those that there are.
        """
        if self.named is not None:
            return self.named
        if "name" in self.serving.model_fields_set:
            return self.serving.name
        models = models_of(self.places)
        if len(models) == 1:
            return models[0]
        if not models or "mnist" in models:
            return "mnist"
        raise WrongInput(f"there are several models: --name has to be one of {', '.join(models)}")

    @property
    def names(self) -> list[str]:
        """The models of a command that is about all: those on this machine, unless --name names one."""
        if self.named is not None or self.places.backend != "local":
            return [self.name]
        return models_of(self.places) or [self.name]

    @property
    def place(self) -> Workplace:
        """The workplace of the model."""
        return self.place_of(self.name)

    def place_of(self, name: str) -> Workplace:
        """Give the workplace of a model."""
        return open_workplace(self.places, name)


def add_name(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add --name."""
    usual = "serving.name of the settings, else the only model that there is, else mnist"
    parser.add_argument("--name", help=f"the model (default: {default or usual})")


def operation_of(options: argparse.Namespace) -> Operation:
    """Give what the command is about; WrongInput where a place or the name is wrong."""
    named = options.name
    if named is not None:
        problems: list[str] = []
        given = Given("name", named, "command line: --name")
        if validated(ServingSettings, {"name": given}, problems) is None:
            refuse(problems)
    serving, judging = read_serving(os.environ, Path.cwd())
    return Operation(read_places(os.environ, Path.cwd()), named, serving, judging)
