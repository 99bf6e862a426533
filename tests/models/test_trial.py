"""A model is tried before it is trained: what would fail after an hour is named within seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from settings.errors import WrongInput
from settings.hyperparameters import DataSettings
from settings.model import Description, Model, Network
from tasks.making.trial import try_model
from tests.models.small_networks import BUILT_IN, CONVOLUTIONAL, RESTORING, SMALL, SmallSettings

DATA = DataSettings(held_out=50)
SETTINGS: dict[str, Any] = {"conv": SmallSettings(), "restorer": SmallSettings(), "net": SmallSettings()}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of a dataset of small rows."""
    generator = np.random.default_rng(1)
    np.save(tmp_path / "train-images.npy", generator.integers(0, 256, (150, 8, 8), np.uint8))
    np.save(tmp_path / "train-labels.npy", generator.integers(0, 3, 150).astype(np.uint8))
    return tmp_path


def tried(dataset: Path, *networks: Network, **more: Any) -> None:
    """Try a model of these networks."""
    try_model(Model("small", networks, **more), SETTINGS, dataset, SMALL, DATA)


def test_models_that_are_well_pass(dataset: Path) -> None:
    """Keras' and the built-in ones; nothing is written into the dataset."""
    before = sorted(dataset.iterdir())
    tried(dataset, CONVOLUTIONAL, RESTORING)
    defaults = {network.name: network.settings() for network in BUILT_IN.networks}
    try_model(BUILT_IN, defaults, dataset, SMALL, DATA)
    assert sorted(dataset.iterdir()) == before


def of(*more: Any, **named: Any) -> Network:
    """Give a classifier with layers before its head."""

    def build(settings: SmallSettings, data: Description) -> Any:
        found = [make() for make in more]
        return keras.Sequential([layers.Input(data.shape), *found, layers.Flatten(), layers.Dense(3)])

    return Network("net", "classifier", SmallSettings, build, **named)


def nothing(logits: Any, rows: Any, labels: Any) -> Any:
    """Give a loss that is no number."""
    return tf.reduce_mean(logits) / 0.0 * 0.0


def wrong(logits: Any, rows: Any, labels: Any) -> Any:
    """Fail at the shapes."""
    return tf.reduce_mean(logits - tf.cast(labels, tf.float32))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (of(loss=nothing), "net: the loss of the first batch is nan"),
        (of(loss=wrong), "net: a batch cannot be learnt from: InvalidArgumentError"),
        (
            of(lambda: layers.Lambda(lambda rows: tf.linalg.inv(rows + 9.0 * tf.eye(8)))),
            "the networks cannot be converted to LiteRT: LiteRT lacks MatrixInverse",
        ),
    ],
    ids=["no number", "wrong shapes", "no conversion"],
)
def test_what_would_fail_later_is_named(dataset: Path, network: Network, said: str) -> None:
    """The network, or what LiteRT lacks, in one line."""
    with pytest.raises(WrongInput) as raised:
        tried(dataset, network)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(said)


def test_a_classifier_needs_labels(dataset: Path) -> None:
    """A set without them is named before anything is trained."""
    (dataset / "train-labels.npy").unlink()
    with pytest.raises(WrongInput, match="the dataset has no labels, and a classifier needs them"):
        tried(dataset, CONVOLUTIONAL)


def confidence(networks: Any, rows: Any) -> dict[str, Any]:
    """Give a signature of one's own."""
    return {"confidence": tf.reduce_max(tf.nn.softmax(networks["conv"](rows)), axis=1)}


def taken(networks: Any, rows: Any) -> dict[str, Any]:
    """Give an output that the release has."""
    return {"logits": networks["conv"](rows)}


def of_all(networks: Any, rows: Any) -> dict[str, Any]:
    """Give one figure for all rows."""
    return {"mean": tf.reduce_mean(networks["conv"](rows))}


def test_signatures_of_the_model(dataset: Path) -> None:
    """They are traced and converted too; one whose outputs do not fit is named."""
    tried(dataset, CONVOLUTIONAL, signatures={"sure": confidence})
    with pytest.raises(WrongInput, match="the signature sure of the model gives 'logits', which is taken"):
        tried(dataset, CONVOLUTIONAL, signatures={"sure": taken})
    with pytest.raises(WrongInput, match=r"the signature sure gives mean of shape \(\), not \(N, \.\.\.\)"):
        tried(dataset, CONVOLUTIONAL, signatures={"sure": of_all})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("infer", "no signature can be called 'infer': that is something else in a release"),
        ("variables", "no signature can be called 'variables': that is something else in a release"),
        ("conv", "no signature can be called 'conv': that is a network"),
        ("a-b", "the signature 'a-b': a name is of small letters and digits, with single _ between"),
    ],
)
def test_names_of_signatures(name: str, said: str) -> None:
    """What a release has already, or a graph cannot be called, is refused when the module is read."""
    with pytest.raises(WrongInput, match=said):
        Model("small", (CONVOLUTIONAL, RESTORING), signatures={name: confidence})


def test_the_name_of_the_rows() -> None:
    """It is the argument of a function."""
    with pytest.raises(WrongInput, match="the inputs 'my rows': the rows' name in requests"):
        Model("small", (CONVOLUTIONAL,), inputs="my rows")
