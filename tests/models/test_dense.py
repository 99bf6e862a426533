"""The gradients that are written out against those of a tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description
from tasks.models.augmentation import mix_patches
from tasks.models.classifier import DenseClassifier
from tasks.models.concept import DenseConcept
from tasks.models.dense import Layer, Stack, initial_weights
from tasks.models.hardware import Products, products
from tasks.models.trainable import Trainable

MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))
KEY = tf.constant([1, 0])

Weights = dict[str, tf.Tensor]
Loss = Callable[[Weights], tf.Tensor]


def by_tape(loss: Loss, weights: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    variables = {name: tf.Variable(values) for name, values in weights.items()}
    with tf.GradientTape() as tape:
        value = loss(variables)
    return float(value), {name: slope.numpy() for name, slope in tape.gradient(value, variables).items()}


def by_hand(
    network: Trainable, images: np.ndarray, labels: np.ndarray | None = None
) -> tuple[float, dict[str, np.ndarray]]:
    tensors = {name: tf.constant(values) for name, values in network.variables.items()}
    loss, slopes, state = network.loss_and_gradients(tensors, network.tensors(images, labels), KEY)
    assert slopes.keys() == network.variables.keys()
    assert state == {}
    return float(loss), network.weights({name: slope.numpy() for name, slope in slopes.items()})


def assert_close(mine: dict[str, np.ndarray], tape: dict[str, np.ndarray], tolerance: float) -> None:
    assert mine.keys() == tape.keys()
    for name, expected in tape.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(mine[name], expected, rtol=0, atol=tolerance * scale, err_msg=name)


def available() -> list[tuple[Products, float]]:
    """The types of products that this machine computes, with how close they come to float32."""
    return [("float32", 1e-5), ("bfloat16", 0.1)] if products() == "bfloat16" else [("float32", 1e-5)]


@pytest.mark.parametrize(("kind", "tolerance"), available())
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_of_the_classifier(
    labelled: tuple[np.ndarray, np.ndarray], kind: Products, tolerance: float, smoothing: float
) -> None:
    """Loss and gradients are those of the exported function under the cross-entropy."""
    images, labels = labelled[0][:64], labelled[1][:64].astype(np.int32)
    settings = ClassifierSettings(label_smoothing=smoothing, shift=0, precision=kind)
    network = DenseClassifier(settings, MNIST)
    targets = np.eye(10, dtype=np.float32)[labels] * (1 - smoothing) + smoothing / 10

    def loss(weights: Weights) -> tf.Tensor:
        logits = network.forward(weights, tf.cast(images, tf.float32) / 255)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    value, slopes = by_hand(network, images, labels)
    expected, tape = by_tape(loss, network.weights(network.variables))
    assert value == pytest.approx(expected, rel=tolerance)
    assert_close(slopes, tape, tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), available())
@pytest.mark.parametrize(("activation", "corruption"), [("relu", 0.0), ("sigmoid", 0.0), ("relu", 0.4)])
def test_gradients_of_the_concept(
    labelled: tuple[np.ndarray, np.ndarray],
    kind: Products,
    tolerance: float,
    activation: Any,
    corruption: float,
) -> None:
    """Loss and gradients are those of the exported function under the squared error, by what it was shown."""
    images = labelled[0][:64]
    settings = ConceptSettings(activation=activation, corruption=corruption, precision=kind)
    network = DenseConcept(settings, MNIST)
    clean = images.astype(np.float32).reshape(64, 784) / 255
    seen = mix_patches(tf.constant(clean), (28, 28), corruption, KEY) if corruption else clean

    def loss(weights: Weights) -> tf.Tensor:
        made = network.forward(weights, seen)
        return tf.reduce_mean(tf.math.squared_difference(tf.reshape(made, (64, 784)), clean))

    value, slopes = by_hand(network, images)
    expected, tape = by_tape(loss, network.weights(network.variables))
    assert value == pytest.approx(expected, rel=tolerance)
    assert_close(slopes, tape, tolerance)


def test_large_layers_are_two_blocks_and_come_together_again() -> None:
    """Parts are columns of the whole; an odd number of units is cut, too."""
    network = Stack((Layer(784, 201, "relu"), Layer(201, 10, "linear")), lambda *_: (), "float32")
    parts = network.initial_parts("glorot", seed=1)
    assert {name: values.shape for name, values in parts.items()} == {
        "kernel_1/0": (784, 101),
        "kernel_1/1": (784, 100),
        "bias_1/0": (101,),
        "bias_1/1": (100,),
        "kernel_2/0": (201, 10),
        "bias_2/0": (10,),
    }
    whole = initial_weights([(784, 201), (201, 10)], "glorot", seed=1)
    joined = network.weights(parts)
    assert joined.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(joined[name], values)


@pytest.mark.parametrize(("form", "limit"), [("glorot", np.sqrt(6 / 500)), ("he", np.sqrt(6 / 400))])
def test_uniform_initial_weights_fill_their_range(form: str, limit: float) -> None:
    """Kernels of 400 inputs and 100 units lie within the range of their form, biases are zero."""
    weights = initial_weights([(400, 100)], form, seed=1)
    assert np.abs(weights["kernel_1"]).max() == pytest.approx(limit, rel=0.01)
    assert weights["kernel_1"].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert not weights["bias_1"].any()


def test_normal_initial_weights_are_the_sources() -> None:
    """Kernels and biases are drawn from N(0, 1), and another seed gives others."""
    weights = initial_weights([(400, 100)], "normal", seed=1)
    assert weights["kernel_1"].std() == pytest.approx(1, rel=0.02)
    assert weights["bias_1"].std() == pytest.approx(1, rel=0.3)
    assert (weights["kernel_1"] != initial_weights([(400, 100)], "normal", seed=2)["kernel_1"]).any()
