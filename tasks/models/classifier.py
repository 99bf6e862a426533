"""The training of the classifier: 784-256-64-10, softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tasks.models import hardware
from tasks.models.augmentation import shift
from tasks.models.checkpoints import write_arrays
from tasks.models.dense import Layer, Stack, flat
from tasks.models.loop import train
from tasks.models.networks import CLASSIFIER_ACTIVATIONS
from tasks.store.files import write_bytes

if TYPE_CHECKING:
    from settings.hyperparameters import ClassifierSettings

CLASSES = 10


def train_classifier(
    folder: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    *,
    settings: ClassifierSettings,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Trains on images (N, 28, 28) with labels (N,) and writes weights.npz and curve.csv into `folder`.

    Gives notes of the making: the `precision` that the setting became on this machine. Raises Stopped and
    Diverged as loop.train does.
    """
    hardware.configure_threads()
    products = hardware.choose_products(settings.precision)
    network = classifier_network(settings, products)
    data = (flat(images, products), tf.constant(labels.astype(np.int32)))

    def gradients(
        parts: Mapping[str, tf.Tensor], batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        clean, target = batch
        seen = shift(clean, settings.shift, key) if settings.shift else clean
        return network.loss_and_gradients(parts, seen, target)

    trained = train(
        "classifier",
        gradients,
        network.initial_parts(settings.initial_weights, settings.seed),
        data,
        settings=settings,
        precision=products,
        checkpoints=checkpoints,
        should_stop=should_stop,
    )
    write_arrays(folder / "weights.npz", network.weights(trained.parts))
    write_bytes(folder / "curve.csv", trained.curve(settings.display_steps).encode())
    return {"precision": products}


def classifier_network(settings: ClassifierSettings, products: hardware.Products) -> Stack:
    """The network that the settings describe."""
    sizes = (784, settings.hidden_1, settings.hidden_2, CLASSES)
    layers = map(Layer, sizes, sizes[1:], CLASSIFIER_ACTIVATIONS)
    return Stack(tuple(layers), partial(cross_entropy, smoothing=settings.label_smoothing), products)


def cross_entropy(
    outputs: Sequence[tf.Tensor], target: tf.Tensor, smoothing: float
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The softmax cross-entropy of logits (B, 10) with labels (B,), and its gradient by the logits.

    A share of `smoothing` of each label is spread over all classes (Szegedy et al. 2016).
    """
    (logits,) = outputs
    labels = tf.one_hot(
        target, CLASSES, on_value=1 - smoothing + smoothing / CLASSES, off_value=smoothing / CLASSES
    )
    losses, gradient = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
        features=tf.cast(logits, tf.float32), labels=labels
    )
    batch_size = tf.cast(tf.shape(target)[0], tf.float32)
    return tf.reduce_mean(losses), [tf.cast(gradient / batch_size, logits.dtype)]
