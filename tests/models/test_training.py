"""The two trainings, on small images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped
from settings.hyperparameters import ClassifierSettings, ConceptSettings, DataSettings
from settings.model import Description, Network
from tasks.making.network import make_network
from tasks.models.building import build
from tasks.models.builtin import CLASSIFIER, CONCEPT
from tasks.models.checkpoints import read_arrays
from tasks.models.hardware import products
from tasks.steps import used_by

Labelled = tuple[np.ndarray, np.ndarray]
Training = Callable[..., dict[str, bytes]]

MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))
DATA = DataSettings(held_out=100)
KINDS = sorted({"float32", products()})


def never() -> bool:
    return False


@pytest.fixture(params=["classifier", "concept"])
def training(request: pytest.FixtureRequest, dataset: Path, tmp_path: Path) -> Training:
    """Trains one of the two networks and gives the files that it wrote, by their names."""
    chosen = request.getfixturevalue(f"{request.param}_settings")

    def train(name: str, checkpoints: str = "", should_stop: Any = never, **options: Any) -> dict[str, bytes]:
        folder = tmp_path / name
        folder.mkdir()
        notes = make_network(
            folder,
            {"classifier": CLASSIFIER, "concept": CONCEPT}[request.param],
            chosen.model_copy(update=options),
            dataset,
            MNIST,
            DATA,
            checkpoints=tmp_path / (checkpoints or f"{name}.checkpoints"),
            should_stop=should_stop,
        )
        asked = options.get("precision", "auto")
        assert notes == {"precision": products() if asked == "auto" else asked}
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return train


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_goes_down(training: Training, kind: str) -> None:
    """The curve's last mean is well below its first, with either type of products."""
    files = training("out", precision=kind)
    assert files.keys() == {"weights.npz", "curve.csv"}
    losses = [float(row.split(",")[1]) for row in files["curve.csv"].decode().splitlines()[1:]]
    assert len(losses) == 3
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_ends_at_the_same_bytes(training: Training, kind: str) -> None:
    """Both files are those of a training in one go, whichever part of it was done before the stop."""
    whole = training("whole", precision=kind)
    asked = iter([False, True])
    with pytest.raises(Stopped):
        training("stopped", "kept", lambda: next(asked), precision=kind)
    assert training("resumed", "kept", precision=kind) == whole


def test_a_training_does_not_go_on_with_products_of_another_type(
    training: Training, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved to another kind of processor in the middle, it begins anew, says so, and mixes nothing."""
    whole = training("whole", precision="float32")
    asked = iter([False, True])
    with pytest.raises(Stopped):
        training("stopped", "kept", lambda: next(asked), precision="bfloat16")
    with caplog.at_level(logging.WARNING):
        assert training("moved", "kept", precision="float32") == whole
    assert "checkpoint.npz is of precision bfloat16, not float32: starting from the first step" in caplog.text


def test_another_seed_gives_other_weights(training: Training) -> None:
    """The seed decides the initial weights and the order."""
    assert training("1", seed=1, steps=1)["weights.npz"] != training("2", seed=2, steps=1)["weights.npz"]


def test_the_hyperparameters_of_the_source_train(training: Training) -> None:
    """Weights from N(0, 1) and a constant rate give finite weights and a falling loss."""
    files = training("out", initial_weights="normal", schedule="constant", learning_rate=0.01)
    losses = [float(row.split(",")[1]) for row in files["curve.csv"].decode().splitlines()[1:]]
    assert losses[-1] < losses[0]


def trained(network: Network, settings: Any, dataset: Path, folder: Path) -> dict[str, np.ndarray]:
    """Train on the images of a dataset, and give the weights on disk."""
    kept = folder / "kept"
    make_network(folder, network, settings, dataset, MNIST, DATA, checkpoints=kept, should_stop=never)
    return read_arrays(folder / "weights.npz")


def test_the_weights_are_the_exported_functions(labelled: Labelled, dataset: Path, tmp_path: Path) -> None:
    """The classifier knows what it learned when the weights on disk are put into the exported function."""
    images, labels = labelled
    settings = ClassifierSettings(steps=60, batch_size=64, learning_rate=3e-3)
    weights = trained(CLASSIFIER, settings, dataset, tmp_path)
    assert {name: values.shape for name, values in weights.items()} == {
        "kernel_1": (784, 256),
        "bias_1": (256,),
        "kernel_2": (256, 64),
        "bias_2": (64,),
        "kernel_3": (64, 10),
        "bias_3": (10,),
    }
    assert {values.dtype for values in weights.values()} == {np.dtype(np.float32)}
    network = build(CLASSIFIER, settings, MNIST)
    answers = network.forward(weights, images.astype(np.float32) / 255).numpy().argmax(axis=1)
    assert (answers == labels).mean() > 0.95


def test_the_concept_restores_an_image_with_foreign_patches(
    labelled: Labelled, dataset: Path, tmp_path: Path
) -> None:
    """What it makes of a patched image is nearer to the image than what it was shown."""
    images = labelled[0]
    settings = ConceptSettings(steps=200, batch_size=64, learning_rate=3e-3, corruption=0.25)
    weights = trained(CONCEPT, settings, dataset, tmp_path)
    clean = images.astype(np.float32) / 255
    patched = clean.copy()
    patched[:, 7:14, 7:14] = np.roll(clean, 1, axis=0)[:, 7:14, 7:14]
    made = build(CONCEPT, settings, MNIST).forward(weights, patched).numpy()
    assert ((made - clean) ** 2).mean() < 0.6 * ((patched - clean) ** 2).mean()


def test_only_what_cannot_change_the_result_is_left_out_of_the_keys() -> None:
    """Every setting is part of the key but the time between checkpoints and, of the training, the score."""
    for network, left_out in ((CLASSIFIER, set()), (CONCEPT, {"concept.score"})):
        settings = network.settings()
        every = {f"{network.name}.{name}" for name in network.settings.model_fields}
        at_export = every - {f"{network.name}.checkpoint_seconds"}
        assert set(used_by(network, settings, at_export=True)) == at_export
        assert set(used_by(network, settings, at_export=False)) == at_export - left_out
