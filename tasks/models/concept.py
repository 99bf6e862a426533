"""The training of the concept: an autoencoder 784-256-128-256-784 on the squared error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tasks.models import hardware
from tasks.models.augmentation import mix_patches
from tasks.models.checkpoints import write_arrays
from tasks.models.dense import Layer, Stack, flat
from tasks.models.loop import train
from tasks.models.networks import CONCEPT_ACTIVATIONS
from tasks.store.files import write_bytes

if TYPE_CHECKING:
    from settings.hyperparameters import ConceptSettings


def train_concept(
    folder: Path,
    images: npt.NDArray[np.uint8],
    *,
    settings: ConceptSettings,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Trains on images (N, 28, 28) and writes weights.npz and curve.csv into `folder`.

    Gives notes of the making: the `precision` that the setting became on this machine. Raises Stopped and
    Diverged as loop.train does.
    """
    hardware.configure_threads()
    products = hardware.choose_products(settings.precision)
    network = concept_network(settings, products)

    def gradients(
        parts: Mapping[str, tf.Tensor], batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        (clean,) = batch
        seen = mix_patches(clean, settings.corruption, key) if settings.corruption else clean
        return network.loss_and_gradients(parts, seen, clean)

    trained = train(
        "concept",
        gradients,
        network.initial_parts(settings.initial_weights, settings.seed),
        (flat(images, products),),
        settings=settings,
        precision=products,
        checkpoints=checkpoints,
        should_stop=should_stop,
    )
    write_arrays(folder / "weights.npz", network.weights(trained.parts))
    write_bytes(folder / "curve.csv", trained.curve(settings.display_steps).encode())
    return {"precision": products}


def concept_network(settings: ConceptSettings, products: hardware.Products) -> Stack:
    """The network that the settings describe."""
    sizes = (784, settings.hidden, settings.bottleneck, settings.hidden, 784)
    layers = map(Layer, sizes, sizes[1:], CONCEPT_ACTIVATIONS[settings.activation])
    return Stack(tuple(layers), squared_error, products)


def squared_error(outputs: Sequence[tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The mean squared error of blocks of pixels behind a sigmoid, and its gradient before the sigmoid."""
    targets = tf.split(target, [output.shape[1] for output in outputs], axis=1)
    differences = [output - pixels for output, pixels in zip(outputs, targets, strict=True)]
    scale = 1 / tf.cast(tf.size(target), tf.float32)
    loss = scale * tf.add_n([tf.reduce_sum(tf.square(tf.cast(d, tf.float32))) for d in differences])
    deltas = [
        tf.raw_ops.SigmoidGrad(y=output, dy=tf.cast(2 * scale, output.dtype) * difference)
        for output, difference in zip(outputs, differences, strict=True)
    ]
    return loss, deltas
