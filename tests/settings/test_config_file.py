"""Hyperparameters in a TOML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from settings.delivery import Parameters
from settings.errors import WrongInput
from settings.sources import Resolved, resolve
from tasks.models.builtin import BUILT_IN

PARAMETERS = Parameters(BUILT_IN)
Resolve = Callable[..., Resolved]
Refusal = Callable[..., list[str]]


def test_sections_are_stages(resolved: Resolve) -> None:
    """Each stage's table gives its values with their own types."""
    delivery = resolved(
        toml='[data]\nmade = ["blank"]\n[classifier]\nlearning_rate = 1\n[judging]\nchampion = false\n'
    ).delivery
    assert delivery.data.made == ("blank",)
    assert delivery.networks["classifier"].learning_rate == 1.0
    assert delivery.judging.champion is False


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[classifer]\nsteps = 3", "classifer is not known; did you mean classifier?"),
        (
            "[nothing]\nx = 3",
            "nothing is not known; the sections are data, classifier, concept, judging, serving",
        ),
        (
            "learning_rate = 0.1",
            "learning_rate is not known; did you mean classifier.learning_rate or concept.learning_rate?",
        ),
        ("models_root = 'x'", "models_root is not known; it is a place: set the variable MODELS_ROOT"),
        ("[serving]\nhost = 'x'", "serving.host is not known; it is a place: set the variable SERVING_HOST"),
        ("classifier = 3", "classifier is 3, not a section ([classifier])"),
        ("[classifier]\nstepz = 3", "classifier.stepz is not known; did you mean classifier.steps?"),
        ("[classifier.steps]\nn = 3", "classifier.steps is {'n': 3}, not a whole number from 1 to 1,000,000"),
        ('[classifier]\nsteps = "3"', "classifier.steps is '3', not a whole number from 1 to 1,000,000"),
        ("[classifier]\nsteps = true", "classifier.steps is True, not a whole number from 1 to 1,000,000"),
        ("[classifier]\nsteps = 1.5", "classifier.steps is 1.5, not a whole number from 1 to 1,000,000"),
        ("[judging]\nchampion = 1", "judging.champion is 1, not true or false"),
        (
            '[data]\nmade = "blank"',
            "data.made is 'blank', not names with commas between, or [] for none",
        ),
        ("[data]\ntrain = ''", "data.train is '', not a name"),
        (
            '[data]\nmade = ["blank", "noise", "blank"]',
            "data.made is ['blank', 'noise', 'blank']: blank is named more than once",
        ),
        (
            "[classifier]\nsteps = ",
            "is not TOML (Invalid value (at end of document))",
        ),
        (
            "[classifier]\nsteps = 1\nsteps = 2\n",
            "is not TOML (Cannot overwrite a value (at line 3, column 10))",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_line(refused: Refusal, text: str, line: str) -> None:
    """What a file gets wrong is named with the file, the name, the value and what is allowed."""
    assert refused(toml=text) == [f"deliver.toml: {line}"]


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """A file in another encoding is one clear line."""
    (tmp_path / "latin.toml").write_bytes(b'[data]\ntrain = "\xe9"\n')
    with pytest.raises(WrongInput, match=r"^latin\.toml: is not UTF-8 text$"):
        resolve(["--config", "latin.toml"], PARAMETERS, environ={}, folder=tmp_path)


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """--config takes a file of anywhere, and the origin names it as written."""
    file = tmp_path / "elsewhere.toml"
    file.write_text("[concept]\nseed = 3\n")
    settings = resolve([f"--config={file}"], PARAMETERS, environ={}, folder=Path("/"))
    assert settings.origins == {"concept.seed": f"{file}: concept.seed"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "deliver.toml is a folder, not a file"),
        (["--config", "deliver.toml"], "command line: --config is 'deliver.toml', a folder"),
    ],
)
def test_a_folder_in_place_of_the_file(
    refused: Refusal, tmp_path: Path, arguments: list[str], line: str
) -> None:
    """It is not passed over in silence."""
    (tmp_path / "deliver.toml").mkdir()
    assert refused(*arguments) == [line]
