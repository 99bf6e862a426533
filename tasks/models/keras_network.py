"""A Keras model as a Trainable: its variables are arrays by name, and calls of it are functions of them.

Keras numbers layers by a counter of the process, so variables are named by their place in the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from settings.errors import WrongInput
from tasks.models.trainable import Array, Trainable, Values


class KerasNetwork(Trainable):
    """A Keras model, trained and exported by its stateless call."""

    def __init__(self, model: keras.Model) -> None:
        """Take a model that is built; raises WrongInput for one that cannot be trained here, by name."""
        for layer in model._flatten_layers():
            if layer.compute_dtype not in (None, "float32"):
                raise WrongInput(f"{layer.path} computes in {layer.compute_dtype}: only float32 is exported")
        trained, other = model.trainable_variables, model.non_trainable_variables
        for variable in (*trained, *other):
            kind = np.dtype(variable.dtype) if variable.dtype != "bfloat16" else None
            if kind is None or (kind.kind == "f" and kind != np.float32):
                raise WrongInput(f"{variable.path} is {variable.dtype}: only float32 is trained and exported")
        self._model = model
        self._trained = [f"{at:03}/{variable.name}" for at, variable in enumerate(trained)]
        self._other = [f"{at:03}/{variable.name}" for at, variable in enumerate(other, start=len(trained))]
        super().__init__(_arrays(self._trained, trained), _arrays(self._other, other))

    def forward(self, values: Values, rows: tf.Tensor) -> tf.Tensor:
        """Give the output of the model at inference: dropout leaves nothing out, moving means are used."""
        return self._call(values, rows, training=False)[0]

    def forward_in_training(
        self, values: Values, rows: tf.Tensor, key: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Give the output in training, the losses of the layers, and the state that the call leaves."""
        output, state, losses = self._call(values, rows, training=True)
        more = tf.add_n([tf.cast(loss, tf.float32) for loss in losses]) if losses else tf.constant(0.0)
        return output, more, dict(zip(self._other, state, strict=True))

    def _call(self, values: Values, rows: tf.Tensor, *, training: bool) -> Any:
        # As in keras.fit: a model of its own class need not take it.
        how = {"training": training} if self._model._call_has_training_arg else {}
        return self._model.stateless_call(
            [values[name] for name in self._trained],
            [values[name] for name in self._other],
            rows,
            return_losses=True,
            **how,
        )


def wrapped(built: object, row: tuple[int, ...]) -> object:
    """Give a Keras model as a Trainable, and anything else as it is.

    A model that has no variables yet, as one without an Input, makes them for rows of that shape.
    """
    if not isinstance(built, keras.Model):
        return built
    if not built.built:
        built(np.zeros((1, *row), np.float32))
    return KerasNetwork(built)


def _arrays(names: list[str], variables: list[Any]) -> Mapping[str, Array]:
    return {name: variable.numpy() for name, variable in zip(names, variables, strict=True)}


def seeded(seed: int) -> None:
    """Let Keras draw from here on by the seed alone, and number its layers from the start."""
    if keras.backend.backend() != "tensorflow":
        raise WrongInput(
            f"Keras computes by {keras.backend.backend()}: unset KERAS_BACKEND, or set tensorflow"
        )
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
