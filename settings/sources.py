"""From where a delivery takes its settings, read once at the edge: the order of the sources, and the origins.

Each source is over the one before: defaults, deliver.toml (or the file of --config), .env, the environment,
the command line.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from settings.command_line import ORIGIN, Until, read_arguments
from settings.config_file import CONFIG_FILE, read_toml
from settings.delivery import Delivery, Parameters, contradictions
from settings.given import Given, Model, refuse, shortened, validated
from settings.hyperparameters import JudgingSettings, ServingSettings
from settings.model import Stage
from settings.places import Places, resolve_places
from settings.variables import DELIMITER, VARIABLES_FILE, from_variables, read_dotenv

logger = logging.getLogger(__name__)

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


def read_serving(environ: Mapping[str, str], folder: Path) -> tuple[ServingSettings, JudgingSettings]:
    """The stages serving and judging, as far as the sources give them: what the ways back need.

    Nothing is refused, and nothing else is looked at: the other settings may be those of a model whose module
    is missing. What is wrong in these two, or cannot be read, is left out, which one warning tells.
    """
    left_out: list[str] = []
    winning = {one.name: one for one in _sections(folder, left_out)}
    dotenv = read_dotenv(folder, left_out)
    for label, variables in ((VARIABLES_FILE, dotenv), ("environment", environ)):
        for variable, value in variables.items():
            name = variable.lower().replace(DELIMITER, ".", 1)
            winning[name] = Given(name, value or "", f"{label}: {variable}")
    serving = _as_far_as_right(ServingSettings, "serving", winning, left_out)
    judging = _as_far_as_right(JudgingSettings, "judging", winning, left_out)
    if left_out:
        logger.warning("settings are left out: %s", "; ".join(line.replace("\n", " ") for line in left_out))
    return serving, judging


def _sections(folder: Path, left_out: list[str]) -> list[Given]:
    """What deliver.toml gives in its sections, whichever they are."""
    try:
        sections = tomllib.loads((folder / CONFIG_FILE).read_text("utf-8-sig"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        left_out.append(f"{CONFIG_FILE} cannot be read ({error})")
        return []
    return [
        Given(f"{stage}.{key}", value, f"{CONFIG_FILE}: {stage}.{key}", typed=True)
        for stage, section in sections.items()
        if isinstance(section, dict)
        for key, value in section.items()
    ]


def _as_far_as_right(
    model: type[Model], stage: str, winning: Mapping[str, Given], left_out: list[str]
) -> Model:
    """The settings of a stage, without each that is wrong."""
    right: dict[str, Given] = {}
    for name, one in winning.items():
        prefix, _, leaf = name.partition(".")
        if prefix != stage:
            continue
        if leaf not in model.model_fields:
            left_out.append(f"{one.origin} is not known")
        elif validated(model, {leaf: one}, left_out) is not None:
            right[leaf] = one
    return validated(model, right, left_out) or model()
