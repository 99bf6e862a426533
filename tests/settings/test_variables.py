"""Hyperparameters in the environment and in .env, the source project's names included."""

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


@pytest.mark.parametrize("name", ["CLASSIFIER__STEPS", "classifier__steps", "Classifier__Steps"])
def test_case_does_not_matter(resolved: Resolve, name: str) -> None:
    """A stage's variable is read in any case and named in the origin as written."""
    settings = resolved(environ={name: "7"})
    assert settings.delivery.networks["classifier"].steps == 7
    assert settings.origins == {"classifier.steps": f"environment: {name}"}


def test_two_spellings_that_differ_are_refused(refused: Refusal) -> None:
    """The same setting twice with different values is an error, since neither is meant more."""
    assert refused(environ={"CLASSIFIER__STEPS": "7", "classifier__steps": "8"}) == [
        "environment: CLASSIFIER__STEPS and classifier__steps differ; keep one of them"
    ]


@pytest.mark.parametrize(
    ("legacy", "field", "text", "value"),
    [
        ("LEARNING_RATE", "learning_rate", "0.25", 0.25),
        ("LEARNING_STEPS", "steps", "77", 77),
        ("BATCH_SIZE", "batch_size", "33", 33),
        ("DISPLAY_STEPS", "display_steps", "11", 11),
    ],
)
def test_a_name_of_the_source_means_all_networks(
    resolved: Resolve, legacy: str, field: str, text: str, value: float
) -> None:
    """The source project's names set both networks, from the environment and from .env, as numbers."""
    for settings, label in (
        (resolved(environ={legacy: text}), "environment"),
        (resolved(dotenv=f"{legacy}={text}"), ".env"),
    ):
        for model in ("classifier", "concept"):
            assert getattr(settings.delivery.networks[model], field) == value
            assert settings.origins[f"{model}.{field}"] == f"{label}: {legacy}"


def test_the_specific_name_is_over_the_general_one(resolved: Resolve) -> None:
    """Within one source CONCEPT__STEPS is over LEARNING_STEPS, whatever their order."""
    for environ in (
        {"LEARNING_STEPS": "10", "CONCEPT__STEPS": "20"},
        {"CONCEPT__STEPS": "20", "LEARNING_STEPS": "10"},
    ):
        delivery = resolved(environ=environ).delivery
        assert (delivery.networks["classifier"].steps, delivery.networks["concept"].steps) == (10, 20)


def test_a_later_source_is_over_the_specific_name(resolved: Resolve) -> None:
    """LEARNING_STEPS of the environment is over CONCEPT__STEPS of .env."""
    settings = resolved(environ={"LEARNING_STEPS": "10"}, dotenv="CONCEPT__STEPS=20")
    assert settings.delivery.networks["concept"].steps == 10


def test_a_wrong_general_name_is_one_line(refused: Refusal) -> None:
    """A value that is wrong for both models is said once, under the name that was used."""
    assert refused(environ={"LEARNING_RATE": "fast"}) == [
        "environment: LEARNING_RATE is 'fast', not a number above 0 and at most 1"
    ]
    assert refused(dotenv="BATCH_SIZE=") == [".env: BATCH_SIZE is '', not a whole number from 1 to 8,192"]


@pytest.mark.parametrize("label", ["environment", ".env"])
def test_an_unknown_name_of_a_stage_is_refused(refused: Refusal, label: str) -> None:
    """CLASSIFIER__STEPZ is an error that names the nearest known name."""
    source = (
        {"environ": {"CLASSIFIER__STEPZ": "3"}}
        if label == "environment"
        else {"dotenv": "CLASSIFIER__STEPZ=3"}
    )
    assert refused(**source) == [
        f"{label}: CLASSIFIER__STEPZ is not known; did you mean CLASSIFIER__STEPS?"
    ]  # fmt: skip


def test_a_field_of_another_stage_is_suggested_there(refused: Refusal) -> None:
    """A name that another stage has is answered with that stage's name."""
    assert refused(environ={"CLASSIFIER__BOTTLENECK": "3"}) == [
        "environment: CLASSIFIER__BOTTLENECK is not known; did you mean CONCEPT__BOTTLENECK?"
    ]


def test_unrelated_names_are_left_alone(resolved: Resolve) -> None:
    """Variables of others, also those that look alike, change nothing and are no error."""
    others = {
        "DATA": "/mnt",
        "CLASSIFIER": "{",
        "CLASSIFIER_STEPS": "x",
        "OTHER__STEPS": "x",
        "batch_size": "x",
    }
    settings = resolved(environ=others, dotenv="\n".join(f"{name}={value}" for name, value in others.items()))
    assert settings.origins == {}


def test_dotenv_is_read_as_python_dotenv_reads_it(resolved: Resolve) -> None:
    """Comments, quotes, export and a byte order mark are understood."""
    settings = resolved(
        dotenv="\ufeffCONCEPT__STEPS=9 # few\n# note\nexport CLASSIFIER__SCHEDULE='constant'\nSEED_A=4\n"
        "CLASSIFIER__SEED=${SEED_A}\n"
    )
    classifier, concept = settings.delivery.networks.values()
    assert concept.steps == 9
    assert (classifier.schedule, classifier.seed) == ("constant", 4)


@pytest.mark.parametrize("name", ["CLASSIFIER__STEPS", "MODELS_ROOT", "TOKEN"])
def test_a_line_without_a_value_is_refused(refused: Refusal, name: str) -> None:
    """A name alone on a line of .env sets nothing, whosever it is."""
    assert refused(dotenv=f"A=1\n{name}\n") == [".env: line 2 is not NAME=VALUE"]


def test_a_line_that_is_none_is_refused_without_its_text(refused: Refusal) -> None:
    """A broken line of .env is named by its number, and its text, which may be a secret, is not shown."""
    assert refused(dotenv="A=1\nTOKEN hunter2\nB=2\n") == [".env: line 2 is not NAME=VALUE"]


def test_dotenv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """A .env in another encoding is one clear line."""
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(WrongInput, match=r"^\.env: is not UTF-8 text$"):
        resolve([], PARAMETERS, environ={}, folder=tmp_path)


def test_a_folder_named_dotenv_is_not_ours(resolved: Resolve, tmp_path: Path) -> None:
    """A virtual environment in .env is left alone."""
    (tmp_path / ".env").mkdir()
    assert resolved().origins == {}
