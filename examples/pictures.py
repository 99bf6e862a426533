"""Colour pictures in folders by two convolutional networks.

python flows/deliver.py --model examples/pictures.py

They are photographs (of drawn shapes, the energy tells little), brought by `slipway data add pictures FOLDER`
and `slipway data add strangers FOLDER/outliers --outliers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from settings.model import BatchSize, Description, Model, Network, Steps, Training

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class ConvSettings(Training):
    """Three blocks of convolutions."""

    steps: Steps = 800
    batch_size: BatchSize = 64
    filters: int = Field(
        16, ge=4, le=256, description="filters of the first block; each other has twice as many"
    )
    dropout: float = Field(0.3, ge=0, le=0.9, description="share of the units that a step leaves out")


def convolutional(settings: ConvSettings, data: Description) -> keras.Model:
    """Give logits (N, classes) of rows (N, H, W, C)."""
    import keras
    from keras import layers

    network = keras.Sequential([layers.Input(data.shape), layers.RandomFlip("horizontal")])
    for block in range(3):
        network.add(layers.Conv2D(settings.filters * 2**block, 3, padding="same", use_bias=False))
        network.add(layers.BatchNormalization())
        network.add(layers.ReLU())
        network.add(layers.MaxPooling2D())
    network.add(layers.GlobalAveragePooling2D())
    network.add(layers.Dropout(settings.dropout))
    network.add(layers.Dense(len(data.classes)))
    return network


def cross_entropy(logits: tf.Tensor, rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Give the loss of the concept, which learns the classes too."""
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def energy(rows: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Give the score of rows: no class speaks for what is far from the data (Liu et al. 2020)."""
    import tensorflow as tf

    return -tf.reduce_logsumexp(logits, axis=1)


model = Model(
    name="pictures",
    networks=(
        Network("classifier", "classifier", ConvSettings, convolutional),
        Network("concept", "score", ConvSettings, convolutional, loss=cross_entropy, score=energy),
    ),
    defaults={
        "data.train": "pictures",
        "data.outliers": ("strangers",),
        "concept.seed": 2,
        "judging.min_accuracy": 0.7,
        "judging.min_auroc": 0.6,
    },
)
