"""The generated reference of the settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from settings.delivery import Parameters
from settings.document import document
from settings.places import VARIABLES
from tasks.models.builtin import BUILT_IN

ROOT = Path(__file__).parents[2]
PARAMETERS = Parameters(BUILT_IN)


def test_the_committed_reference_is_current() -> None:
    """docs/settings.md is what the generator gives; else run `make docs`."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == document(PARAMETERS)


def test_every_setting_is_in_the_reference() -> None:
    """Every hyperparameter and every variable of a place has a row."""
    rows = set(re.findall(r"^\| `([^`]+)` ", document(PARAMETERS), flags=re.MULTILINE))
    assert rows >= set(PARAMETERS.fields) | set(VARIABLES)


def test_the_errors_shown_are_the_real_ones(refused: Callable[..., list[str]]) -> None:
    """The example of errors is what these sources really give."""
    example = document(PARAMETERS).split("```")[1].strip().splitlines()
    assert example == refused(
        "--classifier.steps=0",
        environ={"CLASSIFIER__STEPZ": "3"},
        toml='[concept]\nactivation = "tanh"',
    )
