"""A stack of dense layers: its initial weights, its loss, and its gradients written out.

Written out rather than left to a gradient tape, since what a training step costs is decided here. A large
layer is two blocks of its columns, each with its own product and gradient, so that two threads work side
by side. Products and what lies between them may be bfloat16; weights, losses and gradients are float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tasks.datasets.pixels import scale
from tasks.models.hardware import Products

Array = npt.NDArray[np.float32]
InitialWeights = Literal["glorot", "he", "normal"]

WEIGHTS_OF_A_BLOCK = 150_000
"""A layer with more weights is two blocks."""


class Head(Protocol):
    """The loss over the last layer."""

    def __call__(self, outputs: Sequence[tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The mean loss () and, by block, its gradient by the output before the last activation."""


@dataclass(frozen=True)
class Layer:
    """A dense layer and its activation."""

    inputs: int
    units: int
    activation: str

    @property
    def blocks(self) -> list[int]:
        """The units of each block of columns."""
        if self.inputs * self.units <= WEIGHTS_OF_A_BLOCK:
            return [self.units]
        return [self.units - self.units // 2, self.units // 2]


@dataclass(frozen=True)
class Stack:
    """Dense layers with a loss: what the training loop trains.

    A part is one block of a kernel or bias, named `kernel_1/0`, `kernel_1/1`, `bias_1/0` and so on.
    """

    layers: tuple[Layer, ...]
    head: Head
    products: Products

    def initial_parts(self, form: InitialWeights, seed: int) -> dict[str, Array]:
        """The parts at the start; the draw does not depend on how a layer is cut."""
        weights = initial_weights([(layer.inputs, layer.units) for layer in self.layers], form, seed)
        parts = {}
        for name, array in weights.items():
            blocks = self.layers[int(name.rpartition("_")[2]) - 1].blocks
            for block, part in enumerate(np.split(array, np.cumsum(blocks)[:-1], axis=-1)):
                parts[f"{name}/{block}"] = np.ascontiguousarray(part)
        return parts

    def weights(self, parts: Mapping[str, Array]) -> dict[str, Array]:
        """The whole arrays, named as in weights.npz."""
        names = dict.fromkeys(name.rpartition("/")[0] for name in parts)
        return {
            name: np.concatenate([part for key, part in parts.items() if key.startswith(f"{name}/")], axis=-1)
            for name in names
        }

    def loss_and_gradients(
        self, parts: Mapping[str, tf.Tensor], inputs: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The mean loss () over a batch and its gradient by each part, float32.

        `inputs` (B, inputs of layer 1) is of the type of the products; `target` is what the head takes.
        """
        rounded = {name: tf.cast(part, self.products) for name, part in parts.items()}
        values = [inputs]  # of each layer: (B, units)
        outputs: list[tf.Tensor] = []
        for number, layer in enumerate(self.layers, start=1):
            outputs = [
                _ACTIVATIONS[layer.activation](
                    tf.matmul(values[-1], rounded[f"kernel_{number}/{block}"])
                    + rounded[f"bias_{number}/{block}"]
                )
                for block in range(len(layer.blocks))
            ]
            values.append(outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=1))

        loss, deltas = self.head(outputs, target)
        gradients = {}
        for number in range(len(self.layers), 0, -1):
            below = values[number - 1]
            for block, delta in enumerate(deltas):
                gradient = tf.matmul(below, delta, transpose_a=True)
                gradients[f"kernel_{number}/{block}"] = tf.cast(gradient, tf.float32)
                gradients[f"bias_{number}/{block}"] = tf.reduce_sum(tf.cast(delta, tf.float32), axis=0)
            if number > 1:  # nothing is trained below layer 1
                layer = self.layers[number - 2]
                delta = tf.add_n(
                    [
                        tf.matmul(delta, rounded[f"kernel_{number}/{block}"], transpose_b=True)
                        for block, delta in enumerate(deltas)
                    ]
                )
                deltas = tf.split(_GRADIENTS[layer.activation](below, delta), layer.blocks, axis=1)
        return loss, gradients


def initial_weights(shapes: Sequence[tuple[int, int]], form: InitialWeights, seed: int) -> dict[str, Array]:
    """Kernels and biases of dense layers with these (inputs, units), named as in weights.npz.

    `glorot` (Glorot and Bengio 2010) and `he` (He et al. 2015) are uniform with biases of zero; `normal`
    draws kernels and biases from N(0, 1).
    """
    generator = np.random.default_rng([seed, 0])
    weights = {}
    for number, (inputs, units) in enumerate(shapes, start=1):
        if form == "normal":
            kernel = generator.normal(size=(inputs, units))
            bias = generator.normal(size=units)
        else:
            limit = np.sqrt(6 / inputs) if form == "he" else np.sqrt(6 / (inputs + units))
            kernel = generator.uniform(-limit, limit, size=(inputs, units))
            bias = np.zeros(units)
        weights[f"kernel_{number}"] = kernel.astype(np.float32)
        weights[f"bias_{number}"] = bias.astype(np.float32)
    return weights


def flat(rows: npt.NDArray[Any], products: Products) -> tf.Tensor:
    """Rows (N, ...) as they are stored as values, (N, values), of the type of the products."""
    return tf.cast(tf.constant(scale(rows.reshape(len(rows), -1))), products)


def forward(weights: Mapping[str, Any], rows: tf.Tensor, activations: Sequence[str]) -> tf.Tensor:
    """What dense layers give for rows float32 (N, ...), (N, units): as it is exported, in float32.

    `weights` are named by their layer, counted from 1 at the input: `kernel_1` (inputs, units), `bias_1`
    (units,), `kernel_2`, `bias_2` and so on.
    """
    values = tf.reshape(rows, (-1, weights["kernel_1"].shape[0]))
    for layer, activation in enumerate(activations, start=1):
        values = _FORWARD[activation](
            tf.matmul(values, weights[f"kernel_{layer}"]) + weights[f"bias_{layer}"]
        )
    return values


_FORWARD: dict[str, Any] = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid, "linear": tf.identity}


_ACTIVATIONS: dict[str, Any] = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid, "linear": lambda value: value}

_GRADIENTS: dict[str, Any] = {
    "relu": lambda value, delta: tf.raw_ops.ReluGrad(gradients=delta, features=value),
    "sigmoid": lambda value, delta: tf.raw_ops.SigmoidGrad(y=value, dy=delta),
    "linear": lambda value, delta: delta,
}
