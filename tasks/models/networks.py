"""The two networks as plain TensorFlow functions of their weights.

`weights.npz` of either network holds float32 arrays named by their layer, counted from 1 at the input:
`kernel_1` (inputs, units), `bias_1` (units,), `kernel_2`, `bias_2` and so on.

| network | layers | arrays |
|---|---|---|
| classifier | 784-256-64-10 | kernel_1..3, bias_1..3 |
| concept | 784-256-128-256-784 | kernel_1..4, bias_1..4 |

Training has its own split and rounded form of the same products (dense.py); what these functions give is
what is exported, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import tensorflow as tf

Activation = Literal["relu", "sigmoid"]
Weights = Mapping[str, Any]
"""Named arrays or tensors, float32."""

CLASSIFIER_ACTIVATIONS = ("relu", "relu", "linear")
CONCEPT_ACTIVATIONS: dict[Activation, tuple[str, ...]] = {
    "relu": ("relu", "linear", "relu", "sigmoid"),
    # The autoencoder that this project descends from has a sigmoid behind every layer.
    "sigmoid": ("sigmoid", "sigmoid", "sigmoid", "sigmoid"),
}
"""The activation behind each layer, by the setting `activation`."""

_FUNCTIONS = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid, "linear": tf.identity}


def classify(weights: Weights, imgs: tf.Tensor) -> tf.Tensor:
    """Logits float32 (N, 10) of images float32 (N, 28, 28) in 0..1."""
    return _dense(weights, tf.reshape(imgs, (-1, 784)), CLASSIFIER_ACTIVATIONS)


def reconstruct(weights: Weights, imgs: tf.Tensor, activation: Activation = "relu") -> tf.Tensor:
    """Images float32 (N, 28, 28) that the concept makes of images float32 (N, 28, 28) in 0..1."""
    flat = _dense(weights, tf.reshape(imgs, (-1, 784)), CONCEPT_ACTIVATIONS[activation])
    return tf.reshape(flat, (-1, 28, 28))


def _dense(weights: Weights, flat: tf.Tensor, activations: tuple[str, ...]) -> tf.Tensor:
    for layer, activation in enumerate(activations, start=1):
        flat = _FUNCTIONS[activation](tf.matmul(flat, weights[f"kernel_{layer}"]) + weights[f"bias_{layer}"])
    return flat
