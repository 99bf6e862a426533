"""What is exported of the two networks, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description
from tasks.models.classifier import DenseClassifier
from tasks.models.concept import DenseConcept
from tasks.models.dense import initial_weights

MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))
CLASSIFIER = DenseClassifier(ClassifierSettings(), MNIST)


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def concept(activation: Any) -> DenseConcept:
    return DenseConcept(ConceptSettings(activation=activation), MNIST)


@pytest.fixture
def imgs() -> np.ndarray:
    return np.random.default_rng(0).random((5, 28, 28), dtype=np.float32)


def test_the_classifier_is_two_layers_of_relu_and_one_of_logits(imgs: np.ndarray) -> None:
    """Its logits are what the products say."""
    w = initial_weights([(784, 12), (12, 7), (7, 10)], "normal", seed=1)
    hidden = relu(imgs.reshape(5, 784) @ w["kernel_1"] + w["bias_1"])
    expected = relu(hidden @ w["kernel_2"] + w["bias_2"]) @ w["kernel_3"] + w["bias_3"]
    np.testing.assert_allclose(CLASSIFIER.forward(w, imgs), expected, rtol=1e-4, atol=1e-3)


def test_the_concept_has_a_linear_bottleneck_between_relus(imgs: np.ndarray) -> None:
    """With activation relu, a sigmoid stands only at the pixels."""
    w = initial_weights([(784, 12), (12, 5), (5, 12), (12, 784)], "glorot", seed=1)
    bottleneck = relu(imgs.reshape(5, 784) @ w["kernel_1"] + w["bias_1"]) @ w["kernel_2"] + w["bias_2"]
    pixels = sigmoid(relu(bottleneck @ w["kernel_3"] + w["bias_3"]) @ w["kernel_4"] + w["bias_4"])
    np.testing.assert_allclose(concept("relu").forward(w, imgs), pixels.reshape(5, 28, 28), atol=1e-6)


def test_the_concept_of_the_source_has_sigmoids_throughout(imgs: np.ndarray) -> None:
    """With activation sigmoid, one stands behind every layer."""
    w = initial_weights([(784, 12), (12, 5), (5, 12), (12, 784)], "normal", seed=1)
    values = imgs.reshape(5, 784)
    for layer in (1, 2, 3, 4):
        values = sigmoid(values @ w[f"kernel_{layer}"] + w[f"bias_{layer}"])
    np.testing.assert_allclose(concept("sigmoid").forward(w, imgs), values.reshape(5, 28, 28), atol=1e-5)


def test_no_image_gives_no_answer() -> None:
    """N = 0 is a shape like any other."""
    none = np.zeros((0, 28, 28), np.float32)
    w = initial_weights([(784, 4), (4, 4), (4, 10)], "he", 1)
    assert CLASSIFIER.forward(w, none).shape == (0, 10)
    w = initial_weights([(784, 4), (4, 4), (4, 4), (4, 784)], "he", 1)
    assert concept("relu").forward(w, none).shape == (0, 28, 28)
