"""The built-in classifier: three dense layers, 784-256-64-10 for MNIST, softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

from tasks.models import hardware
from tasks.models.augmentation import shift
from tasks.models.dense import Layer, Stack, flat, forward
from tasks.models.trainable import Array, Trainable, Values

if TYPE_CHECKING:
    from settings.hyperparameters import ClassifierSettings
    from settings.model import Description

ACTIVATIONS = ("relu", "relu", "linear")


class DenseClassifier(Trainable):
    """Gives logits (N, classes) of rows of any shape; its gradients are written out (dense.py)."""

    def __init__(self, settings: ClassifierSettings, description: Description) -> None:
        self.precision = hardware.choose_products(settings.precision)
        self._shape = description.shape
        self._shift = settings.shift
        sizes = (description.size, settings.hidden_1, settings.hidden_2, len(description.classes))
        self._stack = Stack(
            tuple(map(Layer, sizes, sizes[1:], ACTIVATIONS)),
            partial(smoothed_cross_entropy, smoothing=settings.label_smoothing),
            self.precision,
        )
        super().__init__(self._stack.initial_parts(settings.initial_weights, settings.seed))

    def tensors(self, rows: Array, labels: Array | None) -> tuple[tf.Tensor, ...]:
        """Give the rows as values in 0..1 of the type of the products, (N, values), and the labels (N,)."""
        _, known = super().tensors(rows[:0], labels)
        return flat(rows, self.precision), known

    def loss_and_gradients(
        self, values: Values, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Give the mean loss () of a batch and its gradient by each part."""
        clean, target = batch
        seen = shift(clean, self._shape, self._shift, key) if self._shift else clean
        return *self._stack.loss_and_gradients(values, seen, target), {}

    def weights(self, values: Values) -> dict[str, Array]:
        """Give the whole kernels and biases of the layers, `kernel_1`, `bias_1` and so on."""
        return self._stack.weights(values)

    def forward(self, values: Values, rows: tf.Tensor) -> tf.Tensor:
        """Give the logits (N, classes) of rows float32 (N, ...)."""
        return forward(values, rows, ACTIVATIONS)


def smoothed_cross_entropy(
    outputs: Sequence[tf.Tensor], target: tf.Tensor, smoothing: float
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The softmax cross-entropy of logits (B, C) with labels (B,), and its gradient by the logits.

    A share of `smoothing` of each label is spread over all classes (Szegedy et al. 2016).
    """
    (logits,) = outputs
    classes = logits.shape[1]
    labels = tf.one_hot(
        target, classes, on_value=1 - smoothing + smoothing / classes, off_value=smoothing / classes
    )
    losses, gradient = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
        features=tf.cast(logits, tf.float32), labels=labels
    )
    batch_size = tf.cast(tf.shape(target)[0], tf.float32)
    return tf.reduce_mean(losses), [tf.cast(gradient / batch_size, logits.dtype)]
