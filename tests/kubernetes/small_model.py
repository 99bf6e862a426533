"""A model of a user beside mnist, for the tests on a cluster: one dense layer and nothing that scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from settings.model import Description, Model, Network, Steps, Training

if TYPE_CHECKING:
    import keras


class DenseSettings(Training):
    """A hidden layer."""

    steps: Steps = 200
    units: int = Field(32, ge=4, le=256, description="units of the hidden layer")


def dense(settings: DenseSettings, data: Description) -> keras.Model:
    """Give logits (N, classes) of rows (N, 28, 28)."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(data.shape),
            layers.Flatten(),
            layers.Dense(settings.units, activation="relu"),
            layers.Dense(len(data.classes)),
        ]
    )


model = Model(
    name="small",
    networks=(Network("dense", "classifier", DenseSettings, dense),),
    defaults={
        "data.limit": 3_000,
        "data.held_out": 500,
        "judging.min_accuracy": 0.7,
        "judging.champion": False,
        "judging.bootstrap_rounds": 50,
    },
)
