"""The options, their refusals, and the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from settings.allowed import allowed, default_text
from settings.command_line import Until
from settings.delivery import Parameters
from settings.places import VARIABLES
from settings.sources import Resolved
from tasks.models.builtin import BUILT_IN

PARAMETERS = Parameters(BUILT_IN)
Resolve = Callable[..., Resolved]
Refusal = Callable[..., list[str]]


@pytest.fixture
def help_text(resolved: Resolve, capsys: pytest.CaptureFixture[str]) -> str:
    """What --help prints, its line breaks and indents made single spaces."""
    with pytest.raises(SystemExit) as stopped:
        resolved("--help")
    assert stopped.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", PARAMETERS.fields)
def test_help_says_all_of_every_hyperparameter(help_text: str, name: str) -> None:
    """Name, meaning, what is allowed and the default of every field stand together in the help."""
    field = PARAMETERS.fields[name]
    start = help_text.rindex(f"--{name} ")
    told = help_text[start : start + 400]
    for words in (field.description, f"{allowed(field)}; default: {default_text(field)}"):
        assert words
        assert words in told


def test_help_names_run_options_places_and_exit_codes(help_text: str) -> None:
    """The options of the run, the variables of the places and the exit codes are in the help."""
    for words in ("--model MODULE", "--config FILE", "--until STEP", "--force", *get_args(Until), *VARIABLES):
        assert words in help_text
    for code in ("0 done", "1 a gate failed", "2 wrong input", "3 the surroundings", "130 interrupted"):
        assert code in help_text


def test_help_ends_with_the_names_of_the_source(help_text: str) -> None:
    """The variables that the source project had are said to work, all of them, at the end."""
    assert help_text.endswith(
        "the source project's variables work as well: LEARNING_RATE, LEARNING_STEPS, BATCH_SIZE, "
        "DISPLAY_STEPS (for all networks), MNIST_DATA_DIR, notMNIST_DATA_DIR, MNIST_MODELS_DIR"
    )


def test_help_fits_100_columns(
    resolved: Resolve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than 100 columns, however wide the terminal is."""
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        resolved("-h")
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 100


def test_help_comes_before_other_errors(resolved: Resolve, capsys: pytest.CaptureFixture[str]) -> None:
    """--help answers even where another source is wrong."""
    with pytest.raises(SystemExit):
        resolved("--help", environ={"CLASSIFIER__STEPS": "x"}, toml="nonsense")
    assert "usage: python flows/deliver.py" in capsys.readouterr().out


@pytest.mark.parametrize("until", get_args(Until))
def test_the_run_options_are_read(resolved: Resolve, until: str) -> None:
    """--until takes each step and --force is a switch."""
    settings = resolved("--until", until, "--force")
    assert (settings.until, settings.force) == (until, True)


@pytest.mark.parametrize(
    ("arguments", "champion"),
    [
        (["--judging.champion", "false"], False),
        (["--judging.champion=False"], False),
        (["--judging.no-champion"], False),
        (["--judging.no-champion", "--judging.champion"], True),
        (["--judging.champion", "--force"], True),
    ],
)
def test_a_gate_is_switched_on_and_off(resolved: Resolve, arguments: list[str], champion: bool) -> None:
    """A boolean takes a value, stands for true alone, and for false with no- before its name."""
    assert resolved(*arguments).delivery.judging.champion is champion


@pytest.mark.parametrize("text", ["blank,noise", " blank , noise ", '["blank", "noise"]'])
def test_a_list_is_written_with_commas_or_as_json(resolved: Resolve, text: str) -> None:
    """Both forms of a list give the same names in their order."""
    assert resolved("--data.made", text).delivery.data.made == ("blank", "noise")


def test_an_empty_list_is_json(resolved: Resolve) -> None:
    """`[]` is no made set at all."""
    assert resolved("--data.made=[]").delivery.data.made == ()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--classifier.stepz", "3"], "--classifier.stepz is not known; did you mean --classifier.steps?"),
        (["--classifier.stepz=3"], "--classifier.stepz is not known; did you mean --classifier.steps?"),
        (
            ["--classifier.learning-rate=1"],
            "--classifier.learning-rate is not known; did you mean --classifier.learning_rate?",
        ),
        (["--steps", "3"], "--steps is not known; did you mean --classifier.steps or --concept.steps?"),
        (["--utnil", "judged"], "--utnil is not known; did you mean --until?"),
        (["--class", "3"], "--class is not known; --help lists all"),
        (["--xyzzy"], "--xyzzy is not known; --help lists all"),
        (["--data-root", "x"], "--data-root is not known; it is a place: set the variable DATA_ROOT"),
        (["judged"], "'judged' belongs to no option; --help lists all"),
        (["--concept.schedule"], "--concept.schedule expected one argument: one of cosine, constant"),
        (["--force=yes"], "--force ignored explicit argument 'yes'"),
        (["--config", "no.toml"], "--config is 'no.toml', not a file that is there"),
        (
            ["--config", "~no-such-user/x"],
            "--config is '~no-such-user/x': Could not determine home directory.",
        ),
        (["--config", "x" * 5_000], f"--config is '{'x' * 79}…: File name too long"),
        (["--config="], "--config is '', not a file that is there"),
        (["--classifier.steps=0"], "--classifier.steps is '0', not a whole number from 1 to 1,000,000"),
        (["--classifier.steps=2.5"], "--classifier.steps is '2.5', not a whole number from 1 to 1,000,000"),
        (["--classifier.steps", "-5"], "--classifier.steps is '-5', not a whole number from 1 to 1,000,000"),
        (
            ["--classifier.learning_rate=1.5"],
            "--classifier.learning_rate is '1.5', not a number above 0 and at most 1",
        ),
        (["--judging.parity_rtol=-1"], "--judging.parity_rtol is '-1', not a finite number of at least 0"),
        (["--judging.confidence=1"], "--judging.confidence is '1', not a number above 0 and below 1"),
        (["--concept.activation=tanh"], "--concept.activation is 'tanh', not one of relu, sigmoid"),
        (["--judging.champion=maybe"], "--judging.champion is 'maybe', not true or false"),
        (["--data.made=a,,b"], "--data.made is 'a,,b', not names with commas between, or [] for none"),
        (["--data.made=[1]"], "--data.made is '[1]', not names with commas between, or [] for none"),
        (["--data.made=[bl"], "--data.made is '[bl', not names with commas between, or [] for none"),
        (["--serving.name=A/b"], "--serving.name is 'A/b', not text of the form ^[a-z][a-z0-9-]{0,39}$"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(refused: Refusal, arguments: list[str], line: str) -> None:
    """A wrong name or value is said with its origin and what is allowed."""
    assert refused(*arguments) == [f"command line: {line}"]
