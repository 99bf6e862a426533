"""What the export writes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import WrongInput
from settings.hyperparameters import ConceptSettings
from tasks.release.export import export
from tasks.release.inprocess import load_saved_model
from tasks.release.reader import Release

LAYOUT = {
    "assets.extra/concept/saved_model.pb",
    "assets.extra/concept/variables/variables.data-00000-of-00001",
    "assets.extra/concept/variables/variables.index",
    "assets.extra/golden.npz",
    "assets.extra/manifest.json",
    "assets.extra/model.tflite",
    "assets.extra/model/saved_model.pb",
    "assets.extra/model/variables/variables.data-00000-of-00001",
    "assets.extra/model/variables/variables.index",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_layout(released: Path) -> None:
    """A release has these files and no other, and no empty folder."""
    assert digests(released).keys() == LAYOUT
    assert all(any(path.iterdir()) for path in released.rglob("*") if path.is_dir())


def test_manifest(released: Path, export_inputs: dict[str, Any]) -> None:
    """The manifest holds the given facts, the threshold, the signatures and every other file's digest."""
    text = (released / "assets.extra/manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["settings"] == {"classifier.steps": 2000}
    assert manifest["code"] == "abc"
    assert manifest["false_positive_rate"] == 0.05
    assert manifest["held_out"] == {"images": 300, "flagged": 15}
    assert manifest["classes"] == list("0123456789")
    assert manifest["row"] == {"shape": [28, 28], "dtype": "uint8", "low": 0.0, "high": 255.0}
    assert manifest["signatures"]["serving_default"]["inputs"]["imgs"]["range"] == [0.0, 1.0]
    expected = digests(released)
    del expected["assets.extra/manifest.json"]
    assert manifest["digests"] == expected
    assert text == json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_threshold(released: Path, export_inputs: dict[str, Any]) -> None:
    """The exported function flags the asked-for share of the held-out images; the threshold is a variable."""
    import tensorflow as tf

    imgs = export_inputs["held_out"] / np.float32(255)
    answers = load_saved_model(released)(imgs)
    assert np.count_nonzero(~answers["in_distribution"]) == 15  # 5 % of 300
    threshold = tf.saved_model.load(str(released)).threshold.numpy()
    assert threshold.dtype == np.float32
    assert float(threshold) == Release(released).threshold
    assert threshold in answers["score"]


def test_golden(released: Path, export_inputs: dict[str, Any]) -> None:
    """The golden images are ten unflagged held-out ones and six others, with the SavedModel's answers."""
    release = Release(released)
    imgs = release.golden["imgs"]
    assert (imgs.dtype, imgs.shape) == (np.float32, (16, 28, 28))
    assert imgs.min() >= 0
    assert imgs.max() <= 1
    held_out = {img.tobytes() for img in export_inputs["held_out"] / np.float32(255)}
    assert [img.tobytes() in held_out for img in imgs] == [True] * 10 + [False] * 6
    assert release.golden["in_distribution"][:10].all()
    for signature in release.signatures:
        answers = load_saved_model(released)(imgs, signature)
        expected = release.expected(signature)
        assert answers.keys() == expected.keys()
        for name in answers:
            np.testing.assert_array_equal(answers[name], expected[name])


@pytest.mark.parametrize(("activation", "score_form"), [("sigmoid", "error"), ("relu", "error")])
def test_settings_reach_the_graph(
    tmp_path: Path, released: Path, export_inputs: dict[str, Any], activation: Any, score_form: Any
) -> None:
    """The concept's activation and the form of the score decide what is exported."""
    concept = ConceptSettings(activation=activation, score=score_form)
    export(tmp_path, **{**export_inputs, "settings": {**export_inputs["settings"], "concept": concept}})
    golden, other = Release(tmp_path).golden, Release(released).golden
    np.testing.assert_array_equal(golden["score"], golden["reconstructed"])  # the plain error
    made = slice(10, 14)  # noise and blank ones: the same whatever is flagged
    assert np.array_equal(golden["images"][made], other["images"][made]) == (activation == "relu")
    np.testing.assert_array_equal(golden["logits"][made], other["logits"][made])


def test_same_bytes(tmp_path: Path, released: Path, export_inputs: dict[str, Any]) -> None:
    """The same inputs give the same bytes, in this process with its used-up counters and in a fresh one.

    The fresh one has the threads of a training.
    """
    again, fresh = tmp_path / "again", tmp_path / "fresh"
    again.mkdir()
    export(again, **export_inputs)
    assert digests(again) == digests(released)

    fresh.mkdir()
    np.save(tmp_path / "held_out.npy", export_inputs["held_out"])
    arguments = {name: export_inputs[name] for name in ("facts", "false_positive_rate")}
    arguments["networks"] = {name: str(folder) for name, folder in export_inputs["networks"].items()}
    code = (
        "import json, sys, numpy\n"
        "from pathlib import Path\n"
        "from tasks.models.hardware import configure_threads\n"
        "configure_threads(side_by_side=True)\n"
        "from settings.delivery import Parameters\n"
        "from tasks.models.builtin import BUILT_IN\n"
        "from tasks.release.export import export\n"
        "from tests.release.conftest import MNIST\n"
        "arguments = json.loads(sys.argv[1])\n"
        "networks = {name: Path(folder) for name, folder in arguments.pop('networks').items()}\n"
        "export(Path('fresh'), BUILT_IN, MNIST, networks=networks,\n"
        "       settings=Parameters(BUILT_IN).delivery().networks,\n"
        "       held_out=numpy.load('held_out.npy'), **arguments)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        cwd=tmp_path,
        # The hash seed decides the order of Python's sets.
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        capture_output=True,
    )
    assert digests(fresh) == digests(released)


def test_no_weights(tmp_path: Path, export_inputs: dict[str, Any]) -> None:
    """A folder without weights is named, and nothing is written."""
    networks = {**export_inputs["networks"], "concept": Path("nowhere")}
    with pytest.raises(WrongInput, match=r"nowhere/weights\.npz does not exist"):
        export(tmp_path, **{**export_inputs, "networks": networks})
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite(tmp_path: Path, export_inputs: dict[str, Any]) -> None:
    """A concept whose scores are not finite is refused before anything is written."""
    concept = tmp_path / "concept"
    shutil.copytree(export_inputs["networks"]["concept"], concept)
    with np.load(concept / "weights.npz") as arrays:
        weights = dict(arrays)
    weights["bias_4"][0] = np.nan
    np.savez(concept / "weights.npz", **weights)
    folder = tmp_path / "release"
    folder.mkdir()
    networks = {**export_inputs["networks"], "concept": concept}
    with pytest.raises(WrongInput, match="300 of 300 scores of held-out rows are not finite"):
        export(folder, **{**export_inputs, "networks": networks})
    assert list(folder.iterdir()) == []


def test_facts_cannot_replace_what_was_measured(tmp_path: Path, export_inputs: dict[str, Any]) -> None:
    """A fact by the name of one of the manifest's own entries is an error."""
    with pytest.raises(ValueError, match="threshold"):
        export(tmp_path, **{**export_inputs, "facts": {"threshold": 0}})
    assert list(tmp_path.iterdir()) == []
