"""The order of the sources, the origins, and the refusals of a whole delivery."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from settings.delivery import Parameters, contradictions
from settings.errors import WrongInput
from settings.hyperparameters import DataSettings, JudgingSettings, held_out_rows
from settings.places import Places
from settings.sources import Resolved, resolve
from tasks.models.builtin import BUILT_IN

ROOT = Path(__file__).parents[2]
PARAMETERS = Parameters(BUILT_IN)
DEFAULTS = PARAMETERS.delivery()
Resolve = Callable[..., Resolved]
Refusal = Callable[..., list[str]]


def test_without_sources_every_value_is_the_default(resolved: Resolve, tmp_path: Path) -> None:
    """Nothing given is the models' defaults, up to promotion, with no origins."""
    settings = resolved()
    assert settings.delivery == DEFAULTS
    assert settings.places.models_root == tmp_path / "models"
    assert (settings.until, settings.force, settings.origins) == ("promoted", False, {})


@pytest.mark.parametrize(
    ("sources", "steps", "origin"),
    [
        ({"toml": "[classifier]\nsteps = 11"}, 11, "deliver.toml: classifier.steps"),
        ({"dotenv": "CLASSIFIER__STEPS=12"}, 12, ".env: CLASSIFIER__STEPS"),
        ({"environ": {"CLASSIFIER__STEPS": "13"}}, 13, "environment: CLASSIFIER__STEPS"),
        ({"arguments": ["--classifier.steps", "14"]}, 14, "command line: --classifier.steps"),
    ],
)
def test_each_source_gives_a_value_and_its_origin(
    resolved: Resolve, sources: dict[str, Any], steps: int, origin: str
) -> None:
    """A value of any source reaches the delivery, and its origin is known."""
    settings = resolved(*sources.pop("arguments", ()), **sources)
    assert settings.delivery.networks["classifier"].steps == steps
    assert settings.origins == {"classifier.steps": origin}


@pytest.mark.parametrize(
    ("present", "steps"),
    [(("toml",), 11), (("toml", "dotenv"), 12), (("toml", "dotenv", "environ"), 13)],
)
def test_each_source_is_over_the_one_before(resolved: Resolve, present: tuple[str, ...], steps: int) -> None:
    """deliver.toml, .env, environment, command line: the later one wins, value by value."""
    every: Mapping[str, Any] = {
        "toml": "[classifier]\nsteps = 11\nseed = 5",
        "dotenv": "CLASSIFIER__STEPS=12",
        "environ": {"CLASSIFIER__STEPS": "13"},
    }
    sources = {name: every[name] for name in present}
    assert resolved(**sources).delivery.networks["classifier"].steps == steps
    settings = resolved("--classifier.steps=14", **sources)
    classifier = settings.delivery.networks["classifier"]
    assert (classifier.steps, classifier.seed) == (14, 5)


def test_config_replaces_deliver_toml(resolved: Resolve, tmp_path: Path) -> None:
    """--config FILE is read in place of deliver.toml, from the working directory, and named as written."""
    (tmp_path / "other.toml").write_text("[concept]\nbottleneck = 32\n")
    settings = resolved("--config", "other.toml", toml="[concept]\nhidden = 9")
    concept = settings.delivery.networks["concept"]
    assert concept == type(concept)(bottleneck=32)  # type: ignore[call-arg]
    assert settings.origins == {"concept.bottleneck": "other.toml: concept.bottleneck"}


@pytest.mark.parametrize("name", PARAMETERS.fields)
def test_every_hyperparameter_is_settable_by_every_source(resolved: Resolve, name: str) -> None:
    """The default written out in each source's own form is read back as the default."""
    stage, _, key = name.partition(".")
    default = getattr(DEFAULTS.stages[stage], key)
    text = (",".join(default) or "[]") if isinstance(default, tuple) else str(default)
    toml = f"[{stage}]\n{key} = {_toml(default)}"
    variable = f"{stage}__{key}".upper()
    for settings in (
        resolved(toml=toml),
        resolved(toml="", dotenv=f"{variable}={text}"),
        resolved(dotenv="", environ={variable: text}),
        resolved(f"--{name}", text),
    ):
        assert settings.delivery == DEFAULTS
        assert list(settings.origins) == [name]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value))
    return repr(value)


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.toml")), ids=lambda path: path.name)
def test_every_preset_loads(preset: Path, tmp_path: Path) -> None:
    """A preset of the repository is read with --config and gives something other than the defaults."""
    settings = resolve(["--config", str(preset)], PARAMETERS, environ={}, folder=tmp_path)
    assert settings.delivery != DEFAULTS


def test_the_source_preset_is_the_source_project(tmp_path: Path) -> None:
    """presets/source.toml holds the steps, batches, rate and initial weights of the source project."""
    preset = str(ROOT / "presets" / "source.toml")
    delivery = resolve(["--config", preset], PARAMETERS, environ={}, folder=tmp_path).delivery
    classifier, concept = networks = [cast("Any", each) for each in delivery.networks.values()]
    for model in networks:
        assert (model.steps, model.learning_rate, model.display_steps) == (10_000, 0.01, 1_000)
        assert (model.schedule, model.initial_weights) == ("constant", "normal")
    assert (classifier.batch_size, concept.batch_size) == (256, 246)
    assert (concept.activation, concept.score) == ("sigmoid", "error")


def test_places_are_no_part_of_a_delivery() -> None:
    """No place is a hyperparameter or a stage."""
    assert not set(Places.model_fields) & {name.partition(".")[2] for name in PARAMETERS.fields}
    assert not set(Places.model_fields) & set(PARAMETERS.stages)


def test_stages_are_those_of_the_delivery() -> None:
    """What can be set and the stages of a delivery are the same, in the order in which they run."""
    stages = DEFAULTS.stages
    assert list(stages) == ["data", "classifier", "concept", "judging", "serving"]
    assert {name: type(stage) for name, stage in stages.items()} == PARAMETERS.stages
    assert list(stages) == list(PARAMETERS.stages)


def test_everything_wrong_is_said_at_once(refused: Refusal) -> None:
    """Problems of all sources come in one error, one line each."""
    assert refused(
        "--until=x",
        "--concept.seed",
        "-1",
        environ={"CLASSIFIER__STEPZ": "3", "STAGE_PORT": "0"},
        toml="[classifier]\nsteps = 0",
    ) == [
        "command line: --until is 'x', not one of exported, staged, judged, promoted",
        "environment: CLASSIFIER__STEPZ is not known; did you mean CLASSIFIER__STEPS?",
        "deliver.toml: classifier.steps is 0, not a whole number from 1 to 1,000,000",
        "command line: --concept.seed is '-1', not a whole number from 0 to 2,147,483,647",
        "environment: STAGE_PORT is '0', not a whole number from 1 to 65,535",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--judging.min_flagged_ratio", "3"],
            "judging.min_flagged_ratio (3.0, command line: --judging.min_flagged_ratio) has to be below "
            "judging.max_flagged_ratio (2.0, default)",
        ),
        (
            ["--serving.max_images", "100"],
            "judging.request_images (250, default) is more than "
            "serving.max_images (100, command line: --serving.max_images)",
        ),
        (
            ["--judging.min_auroc_by_set", "glyphs=0.99,emnist=0.9"],
            "judging.min_auroc_by_set (glyphs=0.99,emnist=0.9, command line: --judging.min_auroc_by_set) "
            "bounds emnist, not judged on",
        ),
        (
            ["--data.outliers", "glyphs,mnist"],
            "data.train (mnist, default) cannot be among "
            "data.outliers (glyphs,mnist, command line: --data.outliers)",
        ),
        (
            ["--data.limit", "400", "--data.held_out", "400"],
            "data.limit (400, command line: --data.limit) leaves no image to train on: "
            "data.held_out (400, command line: --data.held_out) are held out",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    refused: Refusal, arguments: list[str], line: str
) -> None:
    """Two values, each allowed, that cannot hold together are named with both origins."""
    assert refused(*arguments) == [line]


@pytest.mark.parametrize("value", ["glyphs", "glyphs=1.5", "glyphs=", "glyphs:0.9", "glyphs=-0.1"])
def test_a_bound_of_a_set_is_a_name_and_a_number(refused: Refusal, value: str) -> None:
    """What is none is named with the form that it has to have."""
    (line,) = refused("--judging.min_auroc_by_set", value)
    assert line.startswith(
        f"command line: --judging.min_auroc_by_set is {value!r}, not values of the form ^[a-z0-9-]+="
    )


def test_bounds_of_sets_are_read(resolved: Resolve) -> None:
    """Each as a number by its set."""
    judging = resolved("--judging.min_auroc_by_set", "glyphs=0.99,blank=1").delivery.judging
    assert judging.auroc_bounds == {"glyphs": 0.99, "blank": 1.0}


def test_a_value_that_a_later_source_replaces_is_not_judged(resolved: Resolve) -> None:
    """Only the winning value has to be right."""
    settings = resolved("--classifier.steps", "5", environ={"CLASSIFIER__STEPS": "many"})
    assert settings.delivery.networks["classifier"].steps == 5


@pytest.mark.parametrize(
    "name", [name for name, field in PARAMETERS.fields.items() if field.annotation is float]
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_are_finite(refused: Refusal, name: str, value: str) -> None:
    """nan and inf are refused for every number, as text and in TOML."""
    stage, _, key = name.partition(".")
    (line,) = refused(f"--{name}={value}")
    assert line.startswith(f"command line: --{name} is '{value}', not a ")
    (line,) = refused(toml=f"[{stage}]\n{key} = {value}")
    assert line.startswith(f"deliver.toml: {name} is {value}, not a ")


@pytest.mark.parametrize("name", PARAMETERS.fields)
def test_empty_text_is_refused(refused: Refusal, name: str) -> None:
    """A variable that is set to nothing is an error and not a silent default."""
    variable = name.replace(".", "__").upper()
    (line,) = refused(environ={variable: ""})
    assert line.startswith(f"environment: {variable} is '', not ")


def test_a_long_or_odd_value_stays_one_short_line(refused: Refusal) -> None:
    """A value is cut and its line breaks are escaped."""
    (line,) = refused(environ={"CLASSIFIER__SEED": "a\nb" * 100})
    assert len(line) < 200
    assert "a\\nb" in line


def test_settings_import_nothing_slow(tmp_path: Path) -> None:
    """Resolving settings imports neither Prefect, TensorFlow nor numpy, so that --help is quick."""
    code = (
        "import sys, pathlib; from settings.sources import resolve; "
        "from settings.delivery import Parameters; from tasks.models.builtin import BUILT_IN; "
        "resolve([], Parameters(BUILT_IN), environ={}, folder=pathlib.Path.cwd()); "
        "print(sorted({'prefect', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    (tmp_path / "deliver.toml").write_text("[classifier]\nsteps = 3\n")
    (tmp_path / ".env").write_text("CLASSIFIER__STEPS=3\n")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_wrong_input_is_raised_before_anything_is_written(tmp_path: Path) -> None:
    """Neither a good nor a bad resolution makes a file or a folder."""
    resolve([], PARAMETERS, environ={}, folder=tmp_path)
    with pytest.raises(WrongInput):
        resolve(["--nothing"], PARAMETERS, environ={}, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_training_set_is_no_default_outlier_set(resolved: Resolve) -> None:
    """To train on a default outlier set is enough; what is named otherwise stays as it is named."""
    assert resolved("--data.train", "fashion-mnist").delivery.data.outliers == ("notmnist-small", "glyphs")
    named = resolved("--data.train", "fashion-mnist", "--data.outliers", "mnist").delivery.data
    assert named.outliers == ("mnist",)
    assert resolved("--data.train", "mnist").delivery.data == DEFAULTS.data


def test_a_set_of_ones_own_has_no_default_outlier_set(resolved: Resolve) -> None:
    """The sets of the catalogue are of other shapes: made ones serve, first the shuffled rows."""
    data = resolved("--data.train", "cats").delivery.data
    assert data.outliers == ()
    assert data.judged_on[0] == "shuffled"
    assert resolved("--data.train", "cats", "--data.outliers", "dogs").delivery.data.judged_on[0] == "dogs"
    assert "shuffled" not in DEFAULTS.data.judged_on


def test_classes_that_are_left_out_come_first_unless_another_set_is_named(resolved: Resolve) -> None:
    """They are the primary set by default; who names outlier sets has those before."""
    default = resolved("--data.leave_out", "8,9").delivery.data
    assert default.judged_on[:2] == ("left-out", "notmnist-small")
    named = resolved("--data.leave_out", "8,9", "--data.outliers", "glyphs").delivery.data
    assert named.judged_on[:2] == ("glyphs", "left-out")
    alone = resolved("--data.leave_out", "lion", "--data.train", "cats").delivery.data
    assert alone.judged_on[:2] == ("left-out", "shuffled")
    bounded = ("--judging.min_auroc_by_set", "left-out=0.9", "--data.leave_out", "9")
    assert resolved(*bounded).delivery.judging.auroc_bounds == {"left-out": 0.9}


@pytest.mark.parametrize("shape", ["32", "32x32x4", "0x32", "32x", "32 x 32", "32x32x3x1"])
def test_a_shape_is_of_a_picture(refused: Refusal, shape: str) -> None:
    """Height, width, and one channel or three."""
    (line,) = refused("--data.shape", shape)
    assert line.startswith(f"command line: --data.shape is {shape!r}, not text of the form ")


def test_shapes_are_read(resolved: Resolve) -> None:
    """As numbers; without one, rows stay as they are."""
    assert resolved("--data.shape", "32x40").delivery.data.row_shape == (32, 40)
    assert resolved("--data.shape", "8x8x3").delivery.data.row_shape == (8, 8, 3)
    assert resolved().delivery.data.row_shape is None


@pytest.mark.parametrize(
    ("given", "rows", "held_out"),
    [
        ({}, 60_000, 5_000),  # of MNIST, as ever
        ({}, 529_114, 5_000),
        ({}, 1_500, 125),
        ({}, 200, 50),
        ({}, 60, 30),
        ({"limit": 1_200}, 60_000, 100),
        ({"limit": 100_000}, 60_000, 5_000),
        ({"held_out": 10_000}, 60_000, 10_000),
        ({"held_out": 99}, 100, 99),
    ],
)
def test_held_out_rows_follow_the_number_of_rows(given: dict[str, int], rows: int, held_out: int) -> None:
    """A twelfth of the rows that are used, unless it is named; there are always rows to train on."""
    assert held_out_rows(DataSettings(**given), rows) == held_out


def test_holding_out_everything_is_refused() -> None:
    """The rows that there are, and not those that were hoped for, decide."""
    with pytest.raises(WrongInput, match=r"data\.held_out=100 leaves no row to train on: 100 training rows"):
        held_out_rows(DataSettings(held_out=100), 100)


def test_too_few_held_out_rows_are_refused(refused: Refusal) -> None:
    """A threshold is not set on a handful."""
    (line,) = refused("--data.held_out", "49")
    assert line.startswith("command line: --data.held_out is '49': 0 or at least 50")


def test_a_parameter_of_a_flow_run_is_called_so() -> None:
    """Where no source is known, what was set came with the run, and only the rest is a default."""
    judging = JudgingSettings(min_flagged_ratio=3.0)
    assert list(contradictions(PARAMETERS.delivery({"judging": judging}), {})) == [
        "judging.min_flagged_ratio (3.0, parameter) has to be below judging.max_flagged_ratio (2.0, default)"
    ]
