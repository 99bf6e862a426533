"""One thing at a time is changed, and the tasks that did something are compared with those expected.

What is expected is stated here by hand, without a look at the keys.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from settings.delivery import Parameters
from tasks.machine import this_machine
from tasks.models.builtin import BUILT_IN
from tasks.store.artifacts import RECORD
from tasks.store.files import read_json

FETCH = "fetch-dataset"
JUDGED = {"stage", "judge", "report"}
RELEASED = {"export", "promote", *JUDGED}
CLASSIFIED = {"train-classifier", *RELEASED}
CONCEIVED = {"train-concept", *RELEASED}
TRAINED = {"train-classifier", "train-concept", *RELEASED}
SETS = ("mnist", "notmnist-small", "glyphs", "blank", "dimmed", "rotated")
FETCHED = {f"{FETCH} {name}" for name in SETS}
NOTHING: set[str] = set()

SETTINGS: dict[str, tuple[Any, set[str]]] = {
    "data.shape": ("28x28", NOTHING),  # which the rows have
    # Its test rows are the primary set now, so another set is dimmed.
    "data.leave_out": (
        ["9"],
        {f"{FETCH} {name}" for name in ("mnist", "left-out", "rotated")} | TRAINED,
    ),
    "data.train": ("fashion-mnist", {f"{FETCH} fashion-mnist", f"{FETCH} rotated", *TRAINED}),
    # The other set is the primary one now, so another set is dimmed.
    "data.outliers": (["glyphs", "notmnist-small"], {f"{FETCH} dimmed", *JUDGED}),
    "data.require_primary": (True, NOTHING),
    "data.made": (["blank", "dimmed", "noise"], {f"{FETCH} noise", *JUDGED}),
    "data.held_out": (101, TRAINED),
    "data.limit": (399, TRAINED),
    "classifier.steps": (7, CLASSIFIED),
    "classifier.batch_size": (7, CLASSIFIED),
    "classifier.learning_rate": (0.7, CLASSIFIED),
    "classifier.schedule": ("constant", CLASSIFIED),
    "classifier.hidden_1": (7, CLASSIFIED),
    "classifier.hidden_2": (7, CLASSIFIED),
    "classifier.initial_weights": ("normal", CLASSIFIED),
    "classifier.label_smoothing": (0.7, CLASSIFIED),
    "classifier.shift": (4, CLASSIFIED),
    "classifier.precision": ("float32", CLASSIFIED),
    "classifier.display_steps": (7, CLASSIFIED),  # the rows of the learning curve
    "classifier.checkpoint_seconds": (7.0, NOTHING),
    "classifier.seed": (7, CLASSIFIED),
    "concept.steps": (7, CONCEIVED),
    "concept.batch_size": (7, CONCEIVED),
    "concept.learning_rate": (0.7, CONCEIVED),
    "concept.schedule": ("constant", CONCEIVED),
    "concept.hidden": (7, CONCEIVED),
    "concept.bottleneck": (7, CONCEIVED),
    "concept.activation": ("sigmoid", CONCEIVED),
    "concept.initial_weights": ("normal", CONCEIVED),
    "concept.corruption": (0.7, CONCEIVED),
    "concept.score": ("error", RELEASED),  # computed from the same weights
    "concept.precision": ("float32", CONCEIVED),
    "concept.display_steps": (7, CONCEIVED),
    "concept.checkpoint_seconds": (7.0, NOTHING),
    "concept.seed": (7, CONCEIVED),
    "judging.min_accuracy": (0.01, JUDGED),
    "judging.min_auroc": (0.01, JUDGED),
    "judging.min_auroc_by_set": (["glyphs=0.001"], JUDGED),
    "judging.trivial_detectors": (True, JUDGED),
    "judging.false_positive_rate": (0.07, RELEASED),  # the threshold is in the release
    "judging.min_flagged_ratio": (0.01, JUDGED),
    "judging.max_flagged_ratio": (999.0, JUDGED),
    "judging.parity_rtol": (7e-4, JUDGED),
    "judging.champion": (False, JUDGED),
    "judging.champion_margin": (0.7, JUDGED),
    "judging.champion_auroc_margin": (0.7, JUDGED),
    "judging.max_latency_ms": (1e15, JUDGED),
    "judging.confidence": (0.7, JUDGED),
    "judging.bootstrap_rounds": (11, JUDGED),
    "judging.request_images": (7, NOTHING),
    "serving.keep_versions": (1, NOTHING),  # nothing that an unchanged delivery needs is pruned
    "judging.seed": (7, JUDGED),
    # Another model: its first version is this release, which is judged already.
    "serving.name": ("other", {"promote", "report"}),
    "serving.runtime": ("tensorflow", {"promote", *JUDGED}),
    "serving.max_request_mib": (7, {"promote"}),
    "serving.max_images": (700, {"promote"}),
}
"""Another value for each setting, and the tasks that it makes run."""


OF_ANOTHER_CONTRACT = {"data.leave_out"}
"""What makes a model of other classes, which is not delivered in the place of one that is served."""


def test_every_setting_is_in_the_table():
    """Who adds a setting states here what it makes run."""
    assert SETTINGS.keys() == Parameters(BUILT_IN).fields.keys()


def test_every_value_of_the_table_is_a_change(base):
    """No line of the table has the value that is delivered before."""
    parameters = Parameters(BUILT_IN)
    stages = {name: parameters.stages[name].model_validate(values) for name, values in base.items()}
    before = parameters.delivery(stages).as_json()
    for name, (value, _) in SETTINGS.items():
        stage, _, field = name.partition(".")
        assert value != before[stage][field], name


def test_nothing_changed(quick):
    """An unchanged delivery runs nothing, writes no line of history, and leaves production alone."""
    history = (quick.models / "mnist" / "history.jsonl").read_bytes()
    before = dict(quick.channels.wanted)
    assert quick.deliver() == NOTHING
    assert (quick.models / "mnist" / "history.jsonl").read_bytes() == history
    assert quick.channels.wanted == before


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting(quick, name):
    """A change of one setting runs the tasks of the table, and a repetition of it nothing."""
    value, expected = SETTINGS[name]
    stage, _, field = name.partition(".")
    changed = {stage: {field: value}}
    if name in OF_ANOTHER_CONTRACT:
        quick.channels.remove("production")
    assert quick.deliver(**changed) == expected
    assert quick.deliver(**changed) == NOTHING


def test_there_and_back_again(quick):
    """Settings of before find their results; only the champion is another one, so the verdict is new."""
    assert quick.deliver(classifier={"steps": 7}) == CLASSIFIED
    assert quick.deliver() == {"promote", *JUDGED}
    assert quick.deliver() == NOTHING


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        # The manifest tells the versions of TensorFlow and NumPy.
        ("tensorflow", TRAINED),
        ("numpy", {*FETCHED, *TRAINED}),
        ("pillow", FETCHED),
        ("ai-edge-litert", JUDGED),
        ("orjson", JUDGED),
        ("prefect", NOTHING),
        ("httpx", NOTHING),
    ],
)
def test_a_library(quick, monkeypatch, library, expected):
    """Another version of a library runs the steps whose results it decides."""
    from tasks.store import keys

    real = keys.library_version
    monkeypatch.setattr(keys, "library_version", lambda name: "99.0" if name == library else real(name))
    assert quick.deliver() == expected
    assert quick.deliver() == NOTHING


def test_another_machine(quick, monkeypatch):
    """Elsewhere a verdict stands, unless it is on how quickly this machine answers; the scores always do."""
    limit = {"max_latency_ms": 1e15}
    assert quick.deliver(judging=limit) == JUDGED
    monkeypatch.setattr(
        "tasks.making.scores.score_sets", lambda *of, **how: pytest.fail("it was scored anew")
    )
    monkeypatch.setattr("tasks.question.this_machine", lambda: "a slower processor, 1 core")
    assert quick.deliver() == NOTHING
    assert quick.deliver(judging=limit) == JUDGED
    assert quick.deliver(judging=limit) == NOTHING


def test_the_verdict_tells_on_which_machine_the_latency_was_measured(quick):
    """The receipt and the gate's line name it."""
    receipt = read_json(quick.models / "receipts" / "mnist" / "1-1" / "receipt.json")
    assert receipt["metrics"]["machine"] == this_machine()
    (gate,) = (gate for gate in receipt["gates"] if gate["name"] == "latency")
    assert gate["detail"].startswith(f"on {this_machine()}; batch 1: median ")


def test_a_byte_of_a_local_input(quick):
    """A changed byte of a local file decodes its set anew, and all that follows where the images differ."""
    local = quick.data / "mnist" / "train-images-idx3-ubyte.gz"
    first, second = local.read_bytes().splitlines(keepends=True)
    local.write_bytes(first + second.replace(b"t", b"T", 1))
    assert quick.deliver() == {f"{FETCH} mnist"}
    local.write_bytes(first.replace(b"p", b"P", 1) + second)
    assert quick.deliver() == {f"{FETCH} mnist", f"{FETCH} rotated", *TRAINED}
    assert quick.deliver() == NOTHING


def test_a_local_input_that_comes_and_goes(quick):
    """A published file that is put into a local folder, or taken away, is seen."""
    local = quick.data / "glyphs" / "fonts-dejavu-core_2.37-8_all.deb"
    local.write_bytes(b"fonts")
    assert quick.deliver() == {f"{FETCH} glyphs"}
    local.unlink()
    assert quick.deliver() == NOTHING


MADE_AGAIN = {f"dataset/{name}": {f"{FETCH} {name}"} for name in SETS} | {
    "classifier": {"train-classifier"},
    "concept": {"train-concept"},
    "release": {"export"},
    "verdict": JUDGED,  # it has other latencies
    "scores": NOTHING,  # the verdict that was reached on them stands
}


def delete_a_file(artifact: Path) -> None:
    """Delete its largest file."""
    largest_file(artifact).unlink()


def alter_a_byte(artifact: Path) -> None:
    """Change the last byte of its largest file; length and time of the change stay."""
    path = largest_file(artifact)
    content = path.read_bytes()
    times = path.stat()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def add_a_file(artifact: Path) -> None:
    """Put a file into it."""
    (artifact / "stray.txt").write_text("stray")


def damage_the_record(artifact: Path) -> None:
    """Cut its record short."""
    record = artifact / RECORD
    record.write_bytes(record.read_bytes()[:-9])


def delete_the_record(artifact: Path) -> None:
    """Delete its record."""
    (artifact / RECORD).unlink()


def largest_file(artifact: Path) -> Path:
    """Give the file with most bytes but the record."""
    paths = [path for path in artifact.rglob("*") if path.is_file() and path.name != RECORD]
    return max(paths, key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("damage", [delete_a_file, alter_a_byte])
@pytest.mark.parametrize("kind", MADE_AGAIN)
def test_a_damaged_artifact(quick, kind, damage):
    """A damaged artifact is made again, and nothing that was made of it where it turns out the same."""
    damage(quick.artifact(kind))
    assert quick.deliver() == MADE_AGAIN[kind]
    assert quick.deliver() == NOTHING


@pytest.mark.parametrize("damage", [add_a_file, damage_the_record, delete_the_record, shutil.rmtree])
def test_every_way_to_damage_an_artifact(quick, damage):
    """A stray file, a damaged or missing record and a missing folder are seen too."""
    damage(quick.artifact("concept"))
    assert quick.deliver() == {"train-concept"}
    assert quick.deliver() == NOTHING


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dataset/mnist", {f"{FETCH} mnist", f"{FETCH} rotated", *TRAINED}),
        ("dataset/notmnist-small", {f"{FETCH} notmnist-small", f"{FETCH} dimmed", *JUDGED}),
        ("dataset/glyphs", {f"{FETCH} glyphs", *JUDGED}),
        ("dataset/blank", {f"{FETCH} blank", *JUDGED}),
        ("classifier", CLASSIFIED),
        ("concept", CONCEIVED),
        ("release", RELEASED),
    ],
)
def test_an_artifact_that_turns_out_another_one(quick, kind, expected):
    """Where a lost artifact is made again and is not the same, all that depends on it is made again."""
    shutil.rmtree(quick.artifact(kind))
    quick.work.news[kind.removeprefix("dataset/")] = "other bits"
    assert quick.deliver() == expected
    assert quick.deliver() == NOTHING


@pytest.mark.parametrize("damage", [shutil.rmtree, lambda folder: (folder / "receipt.json").unlink()])
def test_a_damaged_receipt(quick, damage):
    """A receipt that is not whole is written again."""
    damage(quick.models / "receipts" / "mnist" / "1-1")
    assert quick.deliver() == {"report"}
    assert quick.deliver() == NOTHING


def test_a_killed_server(quick):
    """A dead production server is brought up again, and nothing else happens."""
    quick.channels.dead.add("production")
    assert quick.deliver() == {"promote"}
    assert quick.deliver() == NOTHING


def test_a_stopped_server(quick):
    """A production that was stopped is started again, and nothing else happens."""
    quick.channels.remove("production")
    assert quick.deliver() == {"promote"}
    assert quick.deliver() == NOTHING


def test_a_champion_that_is_lost(quick):
    """A version in production whose folder is gone is stepped over: there is none to compare with."""
    shutil.rmtree(quick.models / "mnist" / "1")
    assert "promote" in quick.deliver(classifier={"steps": 7})
    receipt = json.loads((quick.models / "receipts" / "mnist" / "2-1" / "receipt.json").read_bytes())
    assert {gate["name"]: gate["state"] for gate in receipt["gates"]}["champion"] == "not applicable"


def test_parameters_of_tasks(quick, monkeypatch):
    """Retries, tags, time-outs and descriptions of tasks decide no result."""
    for place in (
        "tasks.fetch.fetch_dataset",
        "flows.deliver.train",
        "flows.deliver.export",
        "flows.deliver.judge",
    ):
        module, _, name = place.rpartition(".")
        task = getattr(importlib.import_module(module), name)
        other = task.with_options(
            retries=7, retry_delay_seconds=7, tags=["new"], timeout_seconds=777, description="new"
        )
        monkeypatch.setattr(place, other)
    assert quick.deliver() == NOTHING


def test_the_log_level(quick):
    """A log level decides no result."""
    from prefect.settings import PREFECT_LOGGING_LEVEL, temporary_settings

    logger = logging.getLogger("prefect")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        with temporary_settings({PREFECT_LOGGING_LEVEL: "DEBUG"}):
            assert quick.deliver() == NOTHING
    finally:
        logger.setLevel(level)


def test_the_engine_keeps_no_records(quick):
    """The store alone says what is at hand: no task leaves a result with Prefect."""
    assert quick.deliver(concept={"steps": 7}) == CONCEIVED
    assert not list(quick.models.joinpath("records").glob("*"))


def test_an_artifact_that_was_made_again_elsewhere(quick):
    """The one that lies in the store is the one that is used, whatever was there before."""
    shutil.rmtree(quick.artifact("classifier"))
    quick.work.news["classifier"] = "other bits"
    assert quick.deliver() == CLASSIFIED
    quick.work.news.clear()
    assert quick.deliver() == NOTHING
