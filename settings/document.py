"""The reference of all settings as Markdown: docs/settings.md is that of the built-in model."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from settings.allowed import allowed, default_text
from settings.command_line import EXIT_CODES
from settings.delivery import Parameters
from settings.places import VARIABLES, Places
from settings.variables import LEGACY

INTRODUCTION = """\
# Settings

Written by `make docs` from the models in `settings/`; a test holds it current.

A delivery has hyperparameters (what is trained, judged and served) and places (folders, hosts, ports,
backend). Hyperparameters are the parameters of the flow, one per stage, and are recorded with each run.
Places belong to the process that runs and are never a parameter of the flow.

## Where a value is taken from

Each source is over the one before:

| source | how `classifier.steps` is written there |
|---|---|
| default | |
| the model's own (`defaults` of its module) | `"classifier.steps": 2000` |
| `deliver.toml` in the working directory, or `--config FILE` | `steps = 2000` below `[classifier]` |
| `.env` in the working directory | `CLASSIFIER__STEPS=2000` |
| environment | `CLASSIFIER__STEPS=2000`, in capitals or not |
| command line | `--classifier.steps 2000` or `--classifier.steps=2000` |

A list is written with commas between (`--data.made blank,noise`) or as JSON (`--data.made '["blank"]'`; `[]`
is none). A gate is switched off with `--judging.champion false` or `--judging.no-champion`.

An unknown name is an error in the file, on the command line and behind a stage's prefix in a variable; any
other variable is left alone. Every wrong name or value is one line with its origin and what is allowed, the
command ends with exit code 2, and nothing is started:

```
environment: CLASSIFIER__STEPZ is not known; did you mean CLASSIFIER__STEPS?
command line: --classifier.steps is '0', not a whole number from 1 to 1,000,000
deliver.toml: concept.activation is 'tanh', not one of relu, sigmoid
```

`presets/source.toml` holds the hyperparameters of the project that this one started from, to be used with
`--config presets/source.toml`.
"""

LEGACY_INTRODUCTION = """\
## The source project's names

These variables, in the environment or `.env` and in this spelling, mean all networks. In the same source the
specific name (`CLASSIFIER__STEPS`) is over them; a later source is over an earlier one, whichever name it
uses.
Its MNIST_DATA_DIR, notMNIST_DATA_DIR and MNIST_MODELS_DIR are places.
"""

PLACES_INTRODUCTION = """\
## Places

Variables of the environment, over those of `.env`. Folders that are not absolute are taken from the working
directory. `notMNIST_DATA_DIR` may be written in capitals too.
"""


def document(parameters: Parameters) -> str:
    """The reference as Markdown."""
    parts = [INTRODUCTION]
    for stage, model in parameters.stages.items():
        rows = [
            (f"`{stage}.{name}`", _code(default_text(field)), allowed(field), field.description or "")
            for name, field in model.model_fields.items()
        ]
        about = inspect.getdoc(model) or ""
        parts.append(f"## {stage}\n\n{about}\n\n" + _table(("name", "default", "allowed", "meaning"), rows))
    legacy = [
        (f"`{name}`", ", ".join(f"`{full}`" for full in parameters.fields if full.endswith(f".{field}")))
        for name, field in LEGACY.items()
    ]
    parts.append(LEGACY_INTRODUCTION + "\n" + _table(("variable", "sets"), legacy))
    places = [
        (f"`{name}`", _code(default_text(field)), allowed(field), field.description or "")
        for name, field in ((name, Places.model_fields[place]) for name, place in VARIABLES.items())
    ]
    parts.append(PLACES_INTRODUCTION + "\n" + _table(("variable", "default", "allowed", "meaning"), places))
    codes = [(str(code), meaning) for code, meaning in EXIT_CODES.items()]
    parts.append("## Exit codes\n\n" + _table(("code", "meaning"), codes))
    return "\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
