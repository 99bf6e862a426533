"""Small Keras networks, for tests that build them in processes of their own too."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description, Model, Network, Training
from tasks.models.builtin import build_classifier, build_concept

SMALL = Description(shape=(8, 8), classes=("a", "b", "c"))


class SmallSettings(Training):
    """A training of a moment."""

    steps: int = Field(40, ge=1, le=1_000, description="training steps")
    batch_size: int = Field(32, ge=1, le=64, description="rows per step")
    dropout: float = Field(0.4, ge=0, le=0.9, description="share of the units that a step leaves out")
    penalty: float = Field(1e-3, ge=0, le=1, description="of the squares of the first kernel")


def convolutional(settings: SmallSettings, data: Description) -> Any:
    """Give logits by a convolution with a penalty, batch normalisation and dropout."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(data.shape),
            layers.Reshape((*data.shape, 1)),
            layers.Conv2D(4, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(settings.penalty)),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(settings.dropout),
            layers.Dense(len(data.classes)),
        ]
    )


def restoring(settings: SmallSettings, data: Description) -> Any:
    """Give the rows as a narrow dense network restores them."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(data.shape),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(data.size, activation="sigmoid"),
            layers.Reshape(data.shape),
        ]
    )


CONVOLUTIONAL = Network("conv", "classifier", SmallSettings, convolutional)
RESTORING = Network("restorer", "autoencoder", SmallSettings, restoring)
KERAS = Model("small", (CONVOLUTIONAL, RESTORING))

DENSE = Network("classifier", "classifier", ClassifierSettings, build_classifier)
CONCEPT = Network("concept", "autoencoder", ConceptSettings, build_concept)
BUILT_IN = Model("rows", (DENSE, CONCEPT))
ALONE = Model("alone", (DENSE,))
