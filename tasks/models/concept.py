"""The built-in concept: a dense autoencoder, 784-256-128-256-784 for MNIST, on the squared error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import tensorflow as tf

from settings.errors import WrongInput
from tasks.models import hardware
from tasks.models.augmentation import mix_patches
from tasks.models.dense import Layer, Stack, flat, forward
from tasks.models.score import score
from tasks.models.trainable import Array, Trainable, Values

if TYPE_CHECKING:
    from settings.hyperparameters import ConceptSettings
    from settings.model import Description

ACTIVATIONS: dict[Literal["relu", "sigmoid"], tuple[str, ...]] = {
    "relu": ("relu", "linear", "relu", "sigmoid"),
    # The autoencoder that this project descends from has a sigmoid behind every layer.
    "sigmoid": ("sigmoid", "sigmoid", "sigmoid", "sigmoid"),
}
"""The activation behind each layer, by the setting `activation`."""


class DenseConcept(Trainable):
    """Gives rows (N, ...) of any shape as it restores them; its gradients are written out (dense.py)."""

    def __init__(self, settings: ConceptSettings, description: Description) -> None:
        if description.model_range != (0.0, 1.0):
            raise WrongInput("the concept ends with a sigmoid: its rows have to be uint8, or in 0..1")
        self.precision = hardware.choose_products(settings.precision)
        self._shape = description.shape
        self._corruption = settings.corruption
        self._form = settings.score
        self._activations = ACTIVATIONS[settings.activation]
        size = description.size
        sizes = (size, settings.hidden, settings.bottleneck, settings.hidden, size)
        self._stack = Stack(
            tuple(map(Layer, sizes, sizes[1:], self._activations)), squared_error, self.precision
        )
        super().__init__(self._stack.initial_parts(settings.initial_weights, settings.seed))

    def tensors(self, rows: Array, labels: Array | None) -> tuple[tf.Tensor, ...]:
        """Give the rows as values in 0..1 of the type of the products, (N, values)."""
        return (flat(rows, self.precision),)

    def loss_and_gradients(
        self, values: Values, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Give the mean loss () of a batch and its gradient by each part."""
        (clean,) = batch
        seen = mix_patches(clean, self._shape, self._corruption, key) if self._corruption else clean
        return *self._stack.loss_and_gradients(values, seen, clean), {}

    def weights(self, values: Values) -> dict[str, Array]:
        """Give the whole kernels and biases of the layers, `kernel_1`, `bias_1` and so on."""
        return self._stack.weights(values)

    def forward(self, values: Values, rows: tf.Tensor) -> tf.Tensor:
        """Give what the network makes of rows float32 (N, ...) in 0..1, of the same shape."""
        return tf.reshape(forward(values, rows, self._activations), (-1, *self._shape))

    def score(self, rows: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Give the score (N,) in the form that is set."""
        return score(rows, output, self._form)


def squared_error(outputs: Sequence[tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The mean squared error of blocks of values behind a sigmoid, and its gradient before the sigmoid."""
    targets = tf.split(target, [output.shape[1] for output in outputs], axis=1)
    differences = [output - values for output, values in zip(outputs, targets, strict=True)]
    scale = 1 / tf.cast(tf.size(target), tf.float32)
    loss = scale * tf.add_n([tf.reduce_sum(tf.square(tf.cast(d, tf.float32))) for d in differences])
    deltas = [
        tf.raw_ops.SigmoidGrad(y=output, dy=tf.cast(2 * scale, output.dtype) * difference)
        for output, difference in zip(outputs, differences, strict=True)
    ]
    return loss, deltas
