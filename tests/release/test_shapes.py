"""The built-in networks on rows of other shapes, and a model without a score: trained, exported and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import WrongInput
from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description, Model
from tasks.models.building import build
from tasks.models.checkpoints import write_arrays
from tasks.models.loop import train
from tasks.release.contract import MANIFEST
from tasks.release.export import export
from tasks.release.inprocess import load_saved_model, run_litert
from tasks.release.parity import compare
from tasks.release.promise import promised
from tasks.release.reader import Release
from tests.models.small_networks import ALONE, BUILT_IN, CONCEPT, DENSE

SETTINGS: dict[str, Any] = {
    "classifier": ClassifierSettings(steps=2, batch_size=16, hidden_1=20, hidden_2=10),
    "concept": ConceptSettings(steps=2, batch_size=16, hidden=20, bottleneck=6),
}


def described(shape: tuple[int, ...], classes: int, dtype: str = "uint8") -> Description:
    """Give the description of rows of a shape."""
    names = tuple(f"class {label}" for label in range(classes))
    high = 255.0 if dtype == "uint8" else 1.0
    return Description(shape=shape, classes=names, dtype=dtype, low=0.0, high=high)


def drawn(description: Description, count: int, seed: int) -> np.ndarray:
    """Give rows as they are stored."""
    values = np.random.default_rng(seed).random((count, *description.shape), dtype=np.float32)
    return (255 * values).astype(np.uint8) if description.dtype == "uint8" else values


def release_of(model: Model, description: Description, folder: Path) -> Path:
    """Train the networks of a model for two steps, and give the folder of its release."""
    rows = drawn(description, 60, seed=1)
    labels = (np.arange(60) % len(description.classes)).astype(np.uint8)
    for network in model.networks:
        built = build(network, SETTINGS[network.name], description)
        trained = train(
            network.name,
            built,
            built.tensors(rows, labels),
            settings=SETTINGS[network.name],
            checkpoints=folder / "kept" / network.name,
            should_stop=lambda: False,
        )
        assert np.isfinite(trained.losses).all()
        (folder / network.name).mkdir()
        write_arrays(folder / network.name / "weights.npz", built.weights(trained.values))
    (folder / "release").mkdir()
    export(
        folder / "release",
        model,
        description,
        networks={network.name: folder / network.name for network in model.networks},
        settings=SETTINGS,
        held_out=drawn(description, 100, seed=2),
        false_positive_rate=0.05,
        facts={},
    )
    return folder / "release"


@pytest.mark.parametrize(
    ("shape", "classes", "dtype"),
    [
        ((8, 8, 1), 10, "uint8"),
        ((32, 32, 3), 5, "uint8"),
        ((20, 30, 1), 2, "uint8"),
        ((12,), 3, "uint8"),
        ((12,), 3, "float32"),
    ],
)
def test_rows_of_any_shape(tmp_path: Path, shape: tuple[int, ...], classes: int, dtype: str) -> None:
    """The release promises that shape and those classes, and LiteRT reproduces the golden answers."""
    description = described(shape, classes, dtype)
    release = Release(release_of(BUILT_IN, description, tmp_path))
    release.verify()
    assert release.classes == description.classes
    assert release.signatures == promised(BUILT_IN, description)
    given = release.signatures["serving_default"]
    assert given.input.row == shape
    assert given.outputs["logits"].row == given.outputs["probabilities"].row == (classes,)
    assert release.signatures["reconstruct"].outputs["rows"].row == shape
    rows = release.golden["imgs"]
    assert (rows.dtype, rows.shape) == (np.float32, (16, *shape))
    for name in release.signatures:
        answered = run_litert(release.tflite, rows, signature=name)
        wanted = release.expected(name)
        assert {output: values.shape for output, values in answered.items()} == {
            output: (16, *release.signatures[name].outputs[output].row) for output in wanted
        }
        parity = compare(answered, wanted, rtol=1e-4, scales=release.scales, threshold=release.threshold)
        assert parity.agree, parity
    others = drawn(description, 100, seed=2)
    scaled = others / np.float32(255) if dtype == "uint8" else others
    assert np.count_nonzero(~load_saved_model(release.folder)(scaled)["in_distribution"]) == 5


def test_a_model_without_a_score(tmp_path: Path) -> None:
    """Its release has one signature with the classes alone, no threshold, and no other network beside."""
    description = described((8, 8, 1), 10)
    release = Release(release_of(ALONE, description, tmp_path))
    release.verify()
    assert set(release.signatures) == {"serving_default"}
    assert set(release.signatures["serving_default"].outputs) == {"class_ids", "probabilities", "logits"}
    assert (release.threshold, release.false_positive_rate) == (None, None)
    manifest = json.loads((release.folder / MANIFEST).read_text())
    assert not {"threshold", "false_positive_rate"} & manifest.keys()
    assert manifest["held_out"] == {"images": 100}
    assert set(release.scales) == {"logits", "probabilities"}
    folders = {path.name for path in (release.folder / "assets.extra").iterdir() if path.is_dir()}
    assert folders == {"model"}
    answered = run_litert(release.tflite, release.golden["imgs"])
    assert answered.keys() == {"class_ids", "probabilities", "logits"}
    parity = compare(answered, release.expected(), rtol=1e-4, scales=release.scales, threshold=None)
    assert parity.agree, parity
    np.testing.assert_array_equal(
        release.golden["imgs"][:10], drawn(description, 10, seed=2) / np.float32(255)
    )


def test_the_concept_needs_rows_that_a_sigmoid_can_give() -> None:
    """Rows beyond 0..1 are refused with the reason, before anything is trained."""
    description = Description(shape=(12,), classes=("a", "b"), dtype="float32", low=-1.0, high=1.0)
    with pytest.raises(WrongInput, match=r"^concept: the concept ends with a sigmoid: its rows have to be"):
        build(CONCEPT, SETTINGS["concept"], description)
    assert build(DENSE, SETTINGS["classifier"], description).variables["kernel_1/0"].shape == (12, 20)
