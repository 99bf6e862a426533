"""From a network's description to what is trained and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from settings.errors import SlipwayError, WrongInput
from tasks.models import trainable
from tasks.models.trainable import Trainable

if TYPE_CHECKING:
    # Their values are in the keys; their code, with defaults and descriptions, decides nothing.
    from settings.model import Description, Network, Training

LOSSES = {"classifier": trainable.cross_entropy, "autoencoder": trainable.squared_error}
"""The loss of a role, where a network names none."""

TRIED = 2  # rows of the batch that a network is tried on


def build(network: Network, settings: Training, description: Description) -> Trainable:
    """Give the network as its settings and the data describe it, with its loss and its score.

    Equal settings and descriptions give equal variables. Raises WrongInput, which names the network, where
    it cannot be built, or gives something other than its role asks for.
    """
    from tasks.models import keras_network  # brings Keras

    keras_network.seeded(settings.seed)
    try:
        built: Any = network.build(settings, description)
        built = keras_network.wrapped(built, description.shape)
    except SlipwayError as error:
        raise type(error)(f"{network.name}: {error}") from error
    except Exception as error:
        raise WrongInput(f"{network.name}: it cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(built, Trainable):
        raise WrongInput(
            f"{network.name}: {network.build.__name__} gives a {type(built).__name__}, not a Keras model "
            "or a Trainable"
        )
    built.loss = network.loss or built.loss or LOSSES.get(network.role)
    if network.score is not None or network.role == "score":
        built.score = network.score or _itself  # type: ignore[method-assign, assignment]
    _check_output(network, built, description)
    return built


def _itself(rows: Any, output: Any) -> Any:
    return output


def _check_output(network: Network, built: Trainable, description: Description) -> None:
    rows = tf.zeros((TRIED, *description.shape))
    wanted = {
        "classifier": (TRIED, len(description.classes)),
        "autoencoder": (TRIED, *description.shape),
        "score": (TRIED,),
    }[network.role]
    what = "a score" if network.role == "score" else f"a{'n' * (network.role[0] == 'a')} {network.role}"
    try:
        given = built.forward(built.weights({**built.variables, **built.state}), rows)
        if network.role == "score":
            given = built.score(rows, given)
    except Exception as error:
        raise WrongInput(
            f"{network.name}: it does not take rows {description.shape}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(given, tf.Tensor):
        raise WrongInput(f"{network.name}: {what} gives one tensor, and this gives a {type(given).__name__}")
    if tuple(given.shape) != wanted or given.dtype != tf.float32:
        raise WrongInput(
            f"{network.name}: {what} gives float32 {wanted} for {TRIED} rows {description.shape} "
            f"of {len(description.classes)} classes, and this gives {given.dtype.name} {tuple(given.shape)}"
        )
