"""Fashion-MNIST by a small convolutional network: python flows/deliver.py --model examples/fashion.py"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from settings.model import Description, LearningRate, Model, Network, Steps, Training
from tasks.models.builtin import CONCEPT

if TYPE_CHECKING:
    import keras


class CnnSettings(Training):
    """Two blocks of convolutions, dropout and a dense layer."""

    steps: Steps = 1_200
    learning_rate: LearningRate = 3e-3
    filters: int = Field(16, ge=4, le=256, description="filters of the first block, half of the second's")
    dropout: float = Field(0.3, ge=0, le=0.9, description="share of the units that a step leaves out")


def cnn(settings: CnnSettings, data: Description) -> keras.Model:
    """Give logits (N, classes) of rows (N, 28, 28) in 0..1."""
    import keras  # here: --help, a plan and keys read this module without TensorFlow
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(data.shape),
            layers.Reshape((*data.shape, 1)),  # these pictures have no axis of channels
            layers.Conv2D(settings.filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * settings.filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(settings.dropout),
            layers.Dense(128, activation="relu"),
            layers.Dense(len(data.classes)),
        ]
    )


model = Model(
    name="fashion",
    networks=(Network("cnn", "classifier", CnnSettings, cnn), CONCEPT),
    defaults={
        "data.train": "fashion-mnist",
        "data.outliers": ("mnist", "glyphs"),
        "judging.min_accuracy": 0.90,
        "judging.min_auroc": 0.95,
    },
)
