"""Deliveries of models that must not reach production: each fails at the gate that is there for it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import GateFailed, Surroundings
from tests.flows.conftest import VARIANTS

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Sabotage:
    """What is done to a delivery, and the gate that has to see it."""

    name: str
    gate: str
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: Callable[[Path], None] | None = None  # spoils the decoded dataset in its folder
    patch: Callable[[pytest.MonkeyPatch], None] | None = None  # spoils the code


def shuffle_labels(folder: Path) -> None:
    path = folder / "train-labels.npy"
    np.save(path, np.random.default_rng(1).permutation(np.load(path)))


def leak_test_images(folder: Path) -> None:
    train, test = np.load(folder / "train-images.npy"), np.load(folder / "test-images.npy")
    train[:1_000] = test[:1_000]
    np.save(folder / "train-images.npy", train)
    labels = np.load(folder / "train-labels.npy")
    labels[:1_000] = np.load(folder / "test-labels.npy")[:1_000]
    np.save(folder / "train-labels.npy", labels)


def score_everything_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.models import concept

    def constant(rows, restored, form):
        return 0.0 * rows[:, 0, 0] + 0.5

    monkeypatch.setattr(concept, "score", constant)


def score_blank_images_as_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    from tasks.models import concept
    from tasks.models.score import score as real

    def divided_by_the_ink(rows, *more):
        ink = tf.reduce_mean(rows, axis=(1, 2))
        return real(rows, *more) * ink / ink

    monkeypatch.setattr(concept, "score", divided_by_the_ink)


def set_the_threshold_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.release import export

    monkeypatch.setattr(export, "choose_threshold", lambda *_: np.float32(0))


def convert_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.release import litert

    write = litert.write

    def write_others(path, signed, expected):
        kept = [variable.numpy() for variable in signed.module.variables]
        for variable in signed.module.variables:
            variable.assign(variable * 1.01)
        write(path, signed, expected)
        for variable, value in zip(signed.module.variables, kept, strict=True):
            variable.assign(value)

    monkeypatch.setattr(litert, "write", write_others)


def answer_slightly_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.channels.client import Answer, Client

    predict = Client.predict

    def predict_otherwise(self, imgs, *more):
        answer = predict(self, imgs, *more)
        logits = answer.outputs["logits"] * np.float32(1.001)
        return Answer(answer.outputs | {"logits": logits}, answer.version)

    monkeypatch.setattr(Client, "predict", predict_otherwise)


NEW = {"concept": {"steps": 210}}  # another model than the champion
AT_HAND = {"classifier": VARIANTS[1]}  # likewise, and exported before

SABOTAGES = [
    Sabotage("shuffled labels", "accuracy", data=shuffle_labels),
    Sabotage("test images in training", "leak", data=leak_test_images),
    Sabotage("classifier from N(0, 1)", "accuracy", {"classifier": {"initial_weights": "normal"}}),
    Sabotage("concept from N(0, 1)", "auroc", {"concept": {"initial_weights": "normal"}}),
    Sabotage("a constant score", "auroc", NEW, patch=score_everything_the_same),
    Sabotage("a score that is not a number", "finite", NEW, patch=score_blank_images_as_nan),
    Sabotage("a concept that knows less than its mean", "trivial-detectors", {"concept": {"steps": 20}}),
    Sabotage("fewer steps than the champion", "champion", {"classifier": {"steps": 60}}),
    Sabotage("a threshold of zero", "flagged-share", NEW, patch=set_the_threshold_to_zero),
    Sabotage("LiteRT of other weights", "litert-parity", NEW, patch=convert_other_weights),
    Sabotage("logits off by a thousandth", "endpoint-parity", AT_HAND, patch=answer_slightly_otherwise),
    Sabotage("a limit of a nanosecond", "latency", AT_HAND | {"judging": {"max_latency_ms": 1e-6}}),
]


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_sabotage_is_seen_at_its_gate(sabotage, delivered, monkeypatch, tmp_path, data_root):
    """The gate fails by name, the candidate stays a candidate, and production answers as before."""
    if sabotage.data is not None:
        spoil_dataset(sabotage.data, monkeypatch, tmp_path / "data", data_root)
    if sabotage.patch is not None:
        sabotage.patch(monkeypatch)
    with pytest.raises(GateFailed) as failed:
        delivered.deliver(**sabotage.settings)
    failed_gates = {part.partition(":")[0].strip() for part in str(failed.value).split(": ", 1)[1].split(";")}
    assert sabotage.gate in failed_gates
    assert delivered.served_version() == 1
    assert [version.name for version in (delivered.models / "mnist").glob("[0-9]*")] == ["1"]
    assert ("promoted", 2) not in delivered.events()
    receipt = json.loads((failed.value.outcome.receipt / "receipt.json").read_bytes())
    assert receipt["outcome"] == "refused"
    assert (failed.value.outcome.receipt / "report.html").is_file()


def test_every_gate_has_a_sabotage(delivered):
    """A gate that no delivery was seen to fail at is not known to work."""
    receipt = json.loads((delivered.models / "receipts" / "mnist" / "1-1" / "receipt.json").read_bytes())
    assert {gate["name"] for gate in receipt["gates"]} == {sabotage.gate for sabotage in SABOTAGES}


def test_what_no_gate_of_quality_judged_is_promoted_by_force_alone(delivered):
    """A model of one step passes the gates that are left when those of quality are off, and stays out."""
    unjudged = {
        "classifier": {"steps": 1},
        "judging": {"min_accuracy": 0, "min_auroc": 0, "trivial_detectors": False, "champion": False},
    }
    with pytest.raises(GateFailed, match="2 is not promoted: no gate of quality judged it") as failed:
        delivered.deliver(**unjudged)
    assert delivered.served_version() == 1
    receipt = json.loads((failed.value.outcome.receipt / "receipt.json").read_bytes())
    assert (receipt["outcome"], receipt["passed"], receipt["counts"]["failed"]) == ("refused", False, 0)
    delivered.deliver(**unjudged, force=True)
    assert delivered.served_version() == 2


def spoil_dataset(
    spoil: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, root: Path, data_root: Path
) -> None:
    """Let MNIST be decoded into a root of its own, and spoilt there."""
    from tasks.datasets.fetch import fetch

    for name in ("mnist", "fashion-mnist"):
        downloads = data_root / name / "downloads"
        shutil.copytree(downloads, root / name / "downloads", copy_function=os.link)
    monkeypatch.setenv("DATA_ROOT", str(root))

    def decode_and_spoil(name, folder, **more):
        notes = fetch(name, folder, **more)
        if name == "mnist":
            spoil(folder)
        return notes

    monkeypatch.setattr("tasks.making.dataset.fetch", decode_and_spoil)


def test_stale_server_on_the_stage(delivered, tmp_path, monkeypatch):
    """A model server of other models on the stage's port is named before anything is trained."""
    from settings.places import read_places
    from tasks.release.document import Wanted
    from tasks.workplace import open_workplace

    other = tmp_path / "other"
    shutil.copytree(delivered.models, other / "models", ignore=shutil.ignore_patterns("channels", "lock"))
    environ = delivered.environ | {"MODELS_ROOT": str(other / "models"), "PRODUCTION_PORT": "1"}
    stranger = open_workplace(read_places(environ, other), "mnist").backend
    stranger.put("stage", Wanted(1), should_stop=lambda: False)
    try:
        with pytest.raises(Surroundings, match=f"model server of {other}/models/channels/mnist/stage.json"):
            delivered.deliver(classifier={"steps": 150})
    finally:
        stranger.remove("stage")
    assert delivered.ran == []
    assert delivered.served_version() == 1
    assert [event for event, _ in delivered.events()] == ["exported", "staged", "judged", "promoted"]
