"""Hyperparameters in variables, of the environment or of .env: CLASSIFIER__STEPS, and the source's own names.

The four names of the project that this one comes from (LEARNING_RATE and so on) mean all networks; the
specific name wins over them where the same source has it. A name without a stage's prefix is nobody's error:
the environment belongs to others too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from settings.delivery import Parameters
from settings.given import Given, suggestion

VARIABLES_FILE = ".env"
DELIMITER = "__"

LEGACY: Mapping[str, str] = {
    "LEARNING_RATE": "learning_rate",
    "LEARNING_STEPS": "steps",
    "BATCH_SIZE": "batch_size",
    "DISPLAY_STEPS": "display_steps",
}
"""The source project's names and the hyperparameter of every network that each means."""


def variable(name: str) -> str:
    """The variable of a hyperparameter: `CLASSIFIER__STEPS` of `classifier.steps`."""
    return name.replace(".", DELIMITER).upper()


def from_variables(
    variables: Mapping[str, str | None], label: str, parameters: Parameters, problems: list[str]
) -> list[Given]:
    """The hyperparameters that the variables give, the general names first; a line per problem is added.

    `label` names the source in origins. Case does not matter in a name with a stage's prefix.
    """
    given = [
        Given(f"{network.name}.{field}", variables[legacy] or "", f"{label}: {legacy}")
        for legacy, field in LEGACY.items()
        if legacy in variables
        for network in parameters.model.networks
    ]
    written: dict[str, str] = {}
    for variable_name, value in variables.items():
        stage, delimiter, field = variable_name.lower().partition(DELIMITER)
        if not delimiter or stage not in parameters.stages:
            continue
        name = f"{stage}.{field}"
        if name not in parameters.fields:
            problems.append(
                f"{label}: {variable_name} is not known; {suggestion(name, parameters.fields, variable)}"
            )
        elif name in written and variables[written[name]] != value:
            problems.append(f"{label}: {written[name]} and {variable_name} differ; keep one of them")
        else:
            written[name] = variable_name
            given.append(Given(name, value or "", f"{label}: {variable_name}"))
    return given


def read_dotenv(folder: Path, problems: list[str]) -> Mapping[str, str | None]:
    """The variables of the .env file in the folder, by their names as written; none where there is no file.

    `${NAME}` is replaced, as python-dotenv does. A line that is not NAME=VALUE is a problem; its text is not
    repeated, since the file may hold secrets.
    """
    path = folder / VARIABLES_FILE
    # A folder of that name, such as a virtual environment, is not ours.
    if not path.is_file():
        return {}
    from dotenv.parser import parse_stream
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    encoding = "utf-8-sig"
    try:
        with path.open(encoding=encoding) as stream:
            lines = [line for line in parse_stream(stream) if line.error or (line.key and line.value is None)]
            wrong = [line.original.line for line in lines]
        if not wrong:
            return DotEnvSettingsSource(
                BaseSettings, env_file=path, env_file_encoding=encoding, case_sensitive=True
            ).env_vars
        problems.extend(f"{VARIABLES_FILE}: line {line} is not NAME=VALUE" for line in wrong)
    except OSError as error:
        problems.append(f"{VARIABLES_FILE}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        problems.append(f"{VARIABLES_FILE}: is not UTF-8 text")
    return {}
