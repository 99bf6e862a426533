"""Hyperparameters in a TOML file with one section per stage: deliver.toml, or the file of --config."""

from __future__ import annotations

from pathlib import Path

from settings.delivery import Parameters
from settings.given import Given, suggestion
from settings.places import place_hint

CONFIG_FILE = "deliver.toml"
MODEL_KEY = "model"  # beside the sections: which module defines the model


def read_toml(path: Path, label: str, parameters: Parameters, problems: list[str]) -> list[Given]:
    """The hyperparameters in a TOML file with one section per stage; a line per problem is added.

    `label` names the file in origins: the path as the user wrote it.
    """
    # Slow to import, and not needed where there is no file.
    from pydantic_settings import BaseSettings, TomlConfigSettingsSource

    try:
        sections = TomlConfigSettingsSource(BaseSettings, path).toml_data
    except OSError as error:
        problems.append(f"{label}: cannot be read ({error.strerror})")
        return []
    except UnicodeDecodeError:
        problems.append(f"{label}: is not UTF-8 text")
        return []
    except (ValueError, RecursionError) as error:
        problems.append(f"{label}: is not TOML ({error})")
        return []
    given = []
    for stage, section in sections.items():
        if stage == MODEL_KEY:
            continue  # it was read before it was known what can be set
        if stage not in parameters.stages:
            known = [*parameters.stages, *parameters.fields]
            all_of_them = f"the sections are {', '.join(parameters.stages)}"
            hint = place_hint(stage) or suggestion(stage, known, otherwise=all_of_them)
            problems.append(f"{label}: {stage} is not known; {hint}")
        elif not isinstance(section, dict):
            problems.append(f"{label}: {stage} is {section!r}, not a section ([{stage}])")
        else:
            for key, value in section.items():
                name = f"{stage}.{key}"
                if name in parameters.fields:
                    given.append(Given(name, value, f"{label}: {name}", typed=True))
                else:
                    hint = place_hint(key) or suggestion(name, parameters.fields)
                    problems.append(f"{label}: {name} is not known; {hint}")
    return given
