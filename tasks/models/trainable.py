"""A network as the loop trains it and the export writes it: arrays by name, and functions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tasks.models.hardware import Products

Array = npt.NDArray[Any]
Values = Mapping[str, Any]
"""Arrays or tensors by the names of the network's variables."""

Loss = Callable[[Any, Any, Any], Any]
"""Gives the loss, a scalar, of a network's output, the rows (B, ...) and the labels (B,) of a batch."""

VARIANCE_FLOOR = 1e-2
"""Added to a row's variance: keeps the score of a row without contrast finite, and high.

The variance of a handwritten digit is about 0.1.
"""


class Trainable:
    """A network: what it is made of at the start, and what it gives for rows.

    `variables` are float32 and changed by Adam; `state` is what a step changes otherwise, such as moving
    means and the seeds of a dropout. Gradients come from a tape, unless the network brings its own.
    """

    precision: Products = "float32"
    """The type of the products in training, which a checkpoint is bound to."""

    def __init__(self, variables: Mapping[str, Array], state: Mapping[str, Array] | None = None) -> None:
        self.variables = dict(variables)
        self.state = dict(state or {})
        self.loss: Loss | None = None  # of its role, or the user's

    def tensors(self, rows: Array, labels: Array | None) -> tuple[tf.Tensor, ...]:
        """What a batch is taken from, one row each: rows (N, ...) as they are stored, and labels (N,)."""
        known = np.zeros(len(rows), np.int32) if labels is None else labels.astype(np.int32)
        return tf.constant(np.ascontiguousarray(rows)), tf.constant(known)

    def forward(self, values: Values, rows: tf.Tensor) -> tf.Tensor:
        """Give the output for rows float32 (N, ...), as it is exported."""
        raise NotImplementedError

    def forward_in_training(
        self, values: Values, rows: tf.Tensor, key: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Give the output in training, a loss beside that of the output, and the state after the step.

        `key`, int32 (2,), is another one in each step, and decides what the step draws at random.
        """
        return self.forward(values, rows), tf.constant(0.0), {}

    def loss_and_gradients(
        self, values: Values, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Give the mean loss () of a batch, its gradient by each variable, and the state after the step."""
        stored, labels = batch
        rows = as_input(stored)
        trained = {name: values[name] for name in self.variables}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            output, more, state = self.forward_in_training({**values, **trained}, rows, key)
            if self.loss is None:
                raise TypeError(f"{type(self).__name__} has neither a loss nor gradients of its own")
            loss = tf.cast(self.loss(output, rows, labels), tf.float32) + more
        return loss, tape.gradient(loss, trained, unconnected_gradients="zero"), state

    def weights(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Give what is kept of the trained variables and the state: what `forward` takes."""
        return dict(values)

    def score(self, rows: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Give the score (N,) of rows by the output of an autoencoder: the share of a row not restored."""
        return reconstruction_error(rows, output) / (variance(rows) + VARIANCE_FLOOR)


def as_input(stored: tf.Tensor) -> tf.Tensor:
    """Rows as they are stored as a network takes them, float32: see settings.model.Description."""
    if stored.dtype == tf.uint8:
        return tf.cast(stored, tf.float32) / 255.0
    return tf.cast(stored, tf.float32)


def reconstruction_error(rows: tf.Tensor, restored: tf.Tensor) -> tf.Tensor:
    """The mean squared error over the values of a row, float32 (N,), of rows float32 (N, ...)."""
    return tf.reduce_mean(tf.math.squared_difference(rows, restored), axis=axes_of_a_row(rows))


def variance(rows: tf.Tensor) -> tf.Tensor:
    """The variance of the values of each row, (N,)."""
    axes = axes_of_a_row(rows)
    mean = tf.reduce_mean(rows, axis=axes, keepdims=True)
    return tf.reduce_mean(tf.math.squared_difference(rows, mean), axis=axes)


def axes_of_a_row(rows: tf.Tensor) -> tuple[int, ...]:
    """All axes but the first."""
    return tuple(range(1, len(rows.shape)))


def cross_entropy(logits: tf.Tensor, rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The loss of a classifier: the mean softmax cross-entropy of logits (B, C) with labels (B,)."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def squared_error(restored: tf.Tensor, rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The loss of an autoencoder: the mean squared error of restored rows (B, ...)."""
    return tf.reduce_mean(tf.math.squared_difference(rows, restored))
