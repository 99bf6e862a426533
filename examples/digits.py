"""scikit-learn's digits, 8 x 8, by a classifier alone: python flows/deliver.py --model examples/digits.py

1,797 pictures are few: the gates on shares, the margins and what is held out follow from their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from settings.model import BatchSize, Description, LearningRate, Model, Network, SetFrom, Steps, Training

if TYPE_CHECKING:
    import keras


class DenseSettings(Training):
    """A hidden layer and dropout."""

    steps: Steps = 800
    batch_size: BatchSize = 64
    learning_rate: LearningRate = 5e-3
    units: int = Field(128, ge=8, le=1_024, description="units of the hidden layer")
    dropout: float = Field(0.2, ge=0, le=0.9, description="share of the units that a step leaves out")


def dense(settings: DenseSettings, data: Description) -> keras.Model:
    """Give logits (N, 10) of rows (N, 8, 8)."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(data.shape),
            layers.Flatten(),
            layers.Dense(settings.units, activation="relu"),
            layers.Dropout(settings.dropout),
            layers.Dense(len(data.classes)),
        ]
    )


def digits() -> dict[str, Any]:
    """Give the pictures of scikit-learn, whose pixels are 0 to 16; every fifth one is for the test."""
    import numpy as np
    from sklearn.datasets import load_digits

    loaded = load_digits()
    pixels = (loaded.images * (255 / 16)).astype(np.uint8)
    test = np.arange(len(pixels)) % 5 == 0
    return {
        "x_train": pixels[~test],
        "y_train": loaded.target[~test],
        "x_test": pixels[test],
        "y_test": loaded.target[test],
    }


model = Model(
    name="digits",
    networks=(Network("dense", "classifier", DenseSettings, dense),),
    sets={"sklearn-digits": SetFrom(arrays=digits)},
    defaults={"data.train": "sklearn-digits", "judging.min_accuracy": 0.95},
)
