"""A Keras model is trained, stopped, resumed and exported as the built-in networks are."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from settings.errors import Stopped, WrongInput
from settings.model import Description, Network
from tasks.models import loop
from tasks.models.building import build
from tasks.models.checkpoints import write_arrays
from tasks.models.keras_network import KerasNetwork
from tasks.models.loop import Trained, train
from tasks.models.trainable import Trainable
from tasks.release.inprocess import load_saved_model, run_litert
from tests.models.small_networks import CONVOLUTIONAL, KERAS, RESTORING, SMALL, SmallSettings

ROOT = Path(__file__).parents[2]
GENERATOR = np.random.default_rng(3)
LABELS = GENERATOR.integers(0, 3, 200).astype(np.uint8)
ROWS = (GENERATOR.integers(0, 2, (3, 8, 8))[LABELS] * 180 + GENERATOR.integers(0, 70, (200, 8, 8))).astype(
    np.uint8
)
SETTINGS = SmallSettings(learning_rate=1e-2)


def run(
    folder: Path,
    network: Network = CONVOLUTIONAL,
    should_stop: Callable[[], bool] = lambda: False,
    settings: SmallSettings = SETTINGS,
) -> Trained:
    """Train a network on the rows."""
    built = build(network, settings, SMALL)
    tensors = built.tensors(ROWS, LABELS)
    return train("net", built, tensors, settings=settings, checkpoints=folder, should_stop=should_stop)


def as_bytes(values: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: each.tobytes() for name, each in values.items()}


@pytest.mark.parametrize("network", [CONVOLUTIONAL, RESTORING], ids=lambda network: network.name)
def test_it_learns(tmp_path: Path, network: Network) -> None:
    """The loss falls, and every trained variable moves, as does the state."""
    before = build(network, SETTINGS, SMALL)
    trained = run(tmp_path, network)
    assert trained.losses[-5:].mean() < 0.7 * trained.losses[:5].mean()
    assert trained.values.keys() == {**before.variables, **before.state}.keys()
    for name, values in {**before.variables, **before.state}.items():
        assert (trained.values[name] != values).any(), name


def test_it_knows_what_it_learned(tmp_path: Path) -> None:
    """At inference, with the moving means of the training and without dropout."""
    trained = run(tmp_path)
    network = build(CONVOLUTIONAL, SETTINGS, SMALL)
    answers = network.forward(network.weights(trained.values), tf.constant(ROWS / np.float32(255)))
    assert (answers.numpy().argmax(axis=1) == LABELS).mean() > 0.9


@pytest.mark.parametrize("call", [1, 7, 39])
def test_a_stopped_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Weights, moving means and the seeds of the dropout are those of one go, wherever it was stopped."""
    whole = run(tmp_path / "whole")
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)  # one step a call
    asked = iter(range(1_000))
    with pytest.raises(Stopped, match=f"step {call} of 40"):
        run(tmp_path / "kept", should_stop=lambda: next(asked) >= call)
    monkeypatch.undo()
    resumed = run(tmp_path / "kept")
    assert as_bytes(resumed.values) == as_bytes(whole.values)
    np.testing.assert_array_equal(resumed.losses, whole.losses)


def test_the_seed_decides(tmp_path: Path) -> None:
    """Two builds of one seed are equal, whatever was built between them; another seed is another start."""
    first = build(CONVOLUTIONAL, SETTINGS, SMALL)
    build(RESTORING, SETTINGS, SMALL)
    again = build(CONVOLUTIONAL, SETTINGS, SMALL)
    assert as_bytes({**first.variables, **first.state}) == as_bytes({**again.variables, **again.state})
    other = build(CONVOLUTIONAL, SmallSettings(seed=2), SMALL)
    assert other.variables.keys() == first.variables.keys()
    assert (other.variables["000/kernel"] != first.variables["000/kernel"]).any()
    assert as_bytes(run(tmp_path / "1").values) == as_bytes(run(tmp_path / "2").values)


def with_values(built: Trainable, values: dict[str, np.ndarray]) -> keras.Model:
    """Give the Keras model with these values, set one by one in Keras' own order."""
    assert isinstance(built, KerasNetwork)
    model = built._model
    for variable, value in zip(
        model.trainable_variables, [values[name] for name in built.variables], strict=True
    ):
        variable.assign(value)
    for variable, value in zip(
        model.non_trainable_variables, [values[name] for name in built.state], strict=True
    ):
        variable.assign(value)
    return model


def test_the_loss_is_that_of_the_role_and_of_the_layers() -> None:
    """The cross-entropy of what the model gives in training, with its penalty, and the gradient of both."""
    settings = SmallSettings(dropout=0.0, penalty=0.5)
    built = build(CONVOLUTIONAL, settings, SMALL)
    values = {**built.variables, **built.state}
    held = {name: tf.convert_to_tensor(each) for name, each in values.items()}
    loss, gradients, state = built.loss_and_gradients(held, built.tensors(ROWS, LABELS), tf.constant([1, 0]))
    rows = tf.constant(ROWS / np.float32(255))
    model = with_values(built, values)
    with tf.GradientTape() as tape:
        logits = model(rows, training=True)
        wanted = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS.astype(np.int32), logits)
        )
        wanted += 0.5 * tf.reduce_sum(tf.square(model.trainable_variables[0]))
    expected = tape.gradient(wanted, [variable.value for variable in model.trainable_variables])
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    for found, slope in zip(gradients.values(), expected, strict=True):
        np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6)
    for found, variable in zip(state.values(), model.non_trainable_variables, strict=True):
        np.testing.assert_allclose(found, variable.value, rtol=1e-5)  # as the call in training left it


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of both networks, trained."""
    folders = {}
    for network in (CONVOLUTIONAL, RESTORING):
        folders[network.name] = tmp_path_factory.mktemp(network.name)
        trained = run(folders[network.name] / "kept", network)
        write_arrays(folders[network.name] / "weights.npz", trained.values)
    return folders


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, networks: dict[str, Path]) -> Path:
    """The folder of their release."""
    from tasks.release.export import export

    folder = tmp_path_factory.mktemp("released")
    export(
        folder,
        KERAS,
        SMALL,
        networks=networks,
        settings=dict.fromkeys(networks, SETTINGS),
        held_out=ROWS,
        false_positive_rate=0.05,
        facts={},
    )
    return folder


def test_the_release_answers_what_keras_does_at_inference(released: Path, networks: dict[str, Path]) -> None:
    """The SavedModel and the LiteRT file: no dropout, moving means, and the layers' own order of weights."""
    rows = np.random.default_rng(5).random((40, 8, 8), dtype=np.float32)
    outputs = {}
    for network in (CONVOLUTIONAL, RESTORING):
        with np.load(networks[network.name] / "weights.npz") as arrays:
            model = with_values(build(network, SETTINGS, SMALL), dict(arrays))
        outputs[network.name] = model(rows, training=False).numpy()
        assert np.abs(outputs[network.name] - model(rows, training=True).numpy()).max() > 1e-2
    restored = outputs["restorer"]
    share = ((rows - restored) ** 2).mean(axis=(1, 2)) / (rows.var(axis=(1, 2)) + 0.01)
    ask = load_saved_model(released)
    for answers, back in (
        (ask(rows), ask(rows, "reconstruct")),
        (
            run_litert(released / "assets.extra/model.tflite", rows),
            run_litert(released / "assets.extra/model.tflite", rows, signature="reconstruct"),
        ),
    ):
        np.testing.assert_allclose(answers["logits"], outputs["conv"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(back["rows"], restored, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(answers["score"], share, rtol=1e-3)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_weights_give_the_same_bytes(
    tmp_path: Path, released: Path, networks: dict[str, Path]
) -> None:
    """In this process with its used-up counters, and in a fresh one with another order of Python's sets."""
    np.save(tmp_path / "rows.npy", ROWS)
    (tmp_path / "fresh").mkdir()
    code = (
        "import json, sys, numpy\n"
        "from pathlib import Path\n"
        "from tasks.release.export import export\n"
        "from tests.models.small_networks import KERAS, SMALL, SmallSettings\n"
        "networks = {name: Path(folder) for name, folder in json.loads(sys.argv[1]).items()}\n"
        "settings = dict.fromkeys(networks, SmallSettings(learning_rate=1e-2))\n"
        "export(Path('fresh'), KERAS, SMALL, networks=networks, settings=settings,\n"
        "       held_out=numpy.load('rows.npy'), false_positive_rate=0.05, facts={})\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, json.dumps({name: str(folder) for name, folder in networks.items()})],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    assert digests(tmp_path / "fresh") == digests(released)


def built_of(*more: Any, policy: str = "float32", **named: Any) -> Callable[[Any, Description], Any]:
    """Give a function that builds a model of a dense layer and what is `more`."""

    def build_it(settings: SmallSettings, data: Description) -> Any:
        keras.mixed_precision.set_global_policy(policy)
        return keras.Sequential(
            [layers.Input(data.shape), layers.Flatten(name="flat"), *(make() for make in more)]
        )

    return build_it


def outputs_of(*heads: int) -> Callable[[Any, Description], Any]:
    """Give a function that builds a model of several outputs."""

    def build_it(settings: SmallSettings, data: Description) -> Any:
        inputs = layers.Input(data.shape)
        flat = layers.Flatten()(inputs)
        return keras.Model(inputs, [layers.Dense(units)(flat) for units in heads])

    return build_it


def wide(settings: SmallSettings, data: Description) -> Any:
    """Build a model of other rows."""
    return keras.Sequential([layers.Input((9, 9)), layers.Flatten(), layers.Dense(3)])


def fails(settings: SmallSettings, data: Description) -> Any:
    """Fail."""
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("build_it", "said"),
    [
        (
            built_of(lambda: layers.Dense(4)),
            r"a classifier gives float32 \(2, 3\) for 2 rows \(8, 8\) of 3 classes, and this gives float32",
        ),
        (
            built_of(lambda: layers.Dense(3), lambda: layers.Lambda(lambda x: tf.cast(x, tf.int32))),
            r"a classifier gives float32 \(2, 3\) .*, and this gives int32 \(2, 3\)",
        ),
        (
            built_of(lambda: layers.Dense(3), policy="float64"),
            "computes in float64: only float32 is exported",
        ),
        (
            built_of(lambda: layers.Dense(3, dtype="bfloat16", name="low")),
            "low computes in bfloat16: only float32",
        ),
        # The weights and what is given are float32, and only between them it is not.
        *(
            (
                built_of(
                    lambda: layers.Dense(8), lambda: layers.Dense(3, dtype="float32"), policy=f"mixed_{kind}"
                ),
                f"computes in {kind}: only float32 is exported",
            )
            for kind in ("float16", "bfloat16")
        ),
        (outputs_of(3, 3), "a classifier gives one tensor, and this gives a list"),
        (wide, r"it does not take rows \(8, 8\): ValueError: "),
        (fails, "it cannot be built: RuntimeError: no such thing"),
        (lambda settings, data: 3, "gives a int, not a Keras model or a Trainable"),
        (lambda settings, data: None, "gives a NoneType, not a Keras model or a Trainable"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_name(build_it: Any, said: str) -> None:
    """The network is named, and what it was to give."""
    with pytest.raises(WrongInput, match=rf"^net: .*{said}"):
        build(Network("net", "classifier", SmallSettings, build_it), SETTINGS, SMALL)


def test_a_policy_of_one_network_is_none_of_the_next() -> None:
    """What a module sets in Keras for itself ends with its building."""
    mixed = Network(
        "net", "classifier", SmallSettings, built_of(lambda: layers.Dense(3), policy="mixed_float16")
    )
    with pytest.raises(WrongInput, match="computes in float16"):
        build(mixed, SETTINGS, SMALL)
    assert build(RESTORING, SETTINGS, SMALL).variables["000/kernel"].dtype == np.float32


class OfItsOwn(keras.Model):  # type: ignore[misc]
    """A model of its own class, which makes its variables when it is first called, and knows no training."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = layers.Flatten()
        self.dense = layers.Dense(3)

    def call(self, rows: Any) -> Any:
        """Give the logits."""
        return self.dense(self.flat(rows))


@pytest.mark.parametrize(
    "make",
    [OfItsOwn, lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)])],
    ids=["class", "no input"],
)
def test_a_model_without_an_input_is_built_for_the_rows(tmp_path: Path, make: Any) -> None:
    """As keras.fit does it with the first batch."""
    network = Network("net", "classifier", SmallSettings, lambda settings, data: make())
    built = build(network, SETTINGS, SMALL)
    assert [values.shape for values in built.variables.values()] == [(64, 3), (3,)]
    assert run(tmp_path, network).losses[-1] < 0.5


def test_another_backend_of_keras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be computed is told before the first step."""
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(WrongInput, match="Keras computes by jax: unset KERAS_BACKEND, or set tensorflow"):
        build(CONVOLUTIONAL, SETTINGS, SMALL)
