"""From where a delivery takes its settings, read once at the edge: the order of the sources, and the origins.

Each source is over the one before: defaults, deliver.toml (or the file of --config), .env, the environment,
the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from settings.command_line import ORIGIN, Until, read_arguments
from settings.config_file import CONFIG_FILE, read_toml
from settings.delivery import Delivery, Parameters, contradictions
from settings.given import Given, refuse, shortened, validated
from settings.model import Stage
from settings.places import Places, resolve_places
from settings.variables import VARIABLES_FILE, from_variables, read_dotenv

PROGRAM = "python flows/deliver.py"


@dataclass(frozen=True)
class Resolved:
    """What a command is to do, and where.

    `origins` maps the dotted name of each hyperparameter that a source gave to the text of that origin, for
    the log: `{"classifier.steps": "environment: CLASSIFIER__STEPS"}`.
    """

    delivery: Delivery
    places: Places
    until: Until
    force: bool
    why: str
    origins: Mapping[str, str]


def resolve(
    arguments: Sequence[str],
    parameters: Parameters,
    *,
    environ: Mapping[str, str],
    folder: Path,
    program: str = PROGRAM,
) -> Resolved:
    """The settings of a delivery, from all sources.

    `parameters` are those of the model that the same sources name (modules.py), `folder` is where
    deliver.toml and .env are looked for and relative paths start. Raises WrongInput with a line for each
    problem: the name, its value, where that came from and what is allowed. `--help` prints and raises
    SystemExit(0).
    """
    problems: list[str] = []
    line = read_arguments(arguments, program, parameters, problems)
    dotenv = read_dotenv(folder, problems)
    winning: dict[str, Given] = {}
    for source in (
        _config(line.config, folder, parameters, problems),
        from_variables(dotenv, VARIABLES_FILE, parameters, problems),
        from_variables(environ, "environment", parameters, problems),
        line.given,
    ):
        winning |= {one.name: one for one in source}
    origins = {name: one.origin for name, one in winning.items()}
    delivery = _delivery(parameters, winning, origins, problems)
    places = resolve_places(environ, dotenv, folder, problems)
    if problems or delivery is None or places is None:
        refuse(problems)
    return Resolved(delivery, places, line.until, line.force, line.why, origins)


def _config(wanted: str | None, folder: Path, parameters: Parameters, problems: list[str]) -> list[Given]:
    """What the file of --config gives, which has to be there, or deliver.toml, which need not."""
    label = CONFIG_FILE if wanted is None else wanted
    shown = label if wanted is None else f"{ORIGIN}: --config is {shortened(wanted)}"
    try:
        path = folder / Path(label).expanduser()
        there, is_folder = path.is_file(), bool(label) and path.is_dir()
    except (
        OSError,
        RuntimeError,
    ) as error:  # too long, closed to this user; ~name of a user that is not there
        problems.append(f"{shown}: {getattr(error, 'strerror', None) or error}")
        return []
    if there:
        return read_toml(path, label, parameters, problems)
    if is_folder:
        problems.append(f"{shown} is a folder, not a file" if wanted is None else f"{shown}, a folder")
    elif wanted is not None:
        problems.append(f"{shown}, not a file that is there")
    return []


def _delivery(
    parameters: Parameters, winning: Mapping[str, Given], origins: Mapping[str, str], problems: list[str]
) -> Delivery | None:
    stages: dict[str, Stage | None] = {}
    for stage, model in parameters.stages.items():
        prefix = f"{stage}."
        given = {name.removeprefix(prefix): one for name, one in winning.items() if name.startswith(prefix)}
        stages[stage] = validated(model, given, problems)
    if any(built is None for built in stages.values()):
        return None
    delivery = parameters.delivery(stages)
    problems.extend(contradictions(delivery, origins))
    return delivery
