"""The signatures of a release as TensorFlow functions over the weights of its networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from settings.errors import WrongInput
from tasks.models.trainable import Trainable, reconstruction_error
from tasks.release.contract import Signature, Tensor
from tasks.release.promise import ALONE, DEFAULT, INFER, RECONSTRUCT, restored_name

if TYPE_CHECKING:
    from settings.model import Description, Model, Network

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Part:
    """A trained network of a release."""

    network: Network
    trainable: Trainable
    weights: Weights


@dataclass(frozen=True)
class Signed:
    """A module that holds the variables, and its signatures: traced functions by name.

    The functions refer to the variables only weakly, so keep the module as long as the functions.
    """

    module: Any  # tf.Module
    functions: dict[str, Any]  # name -> tf.ConcreteFunction


def release(model: Model, description: Description, parts: Mapping[str, Part]) -> Signed:
    """Give all networks, by name, and the threshold as one module with the signatures of a release.

    The variable `module.threshold`, where a network scores, is NaN, by which every row is out of
    distribution, until it is assigned.
    """
    module = tf.Module(name="release")
    variables = {name: _variables(part.weights) for name, part in parts.items()}
    for name, held in variables.items():
        setattr(module, name, held)
    scorer = model.scorer
    if scorer is not None:
        module.threshold = tf.Variable(np.float32(np.nan), trainable=False, name="threshold")

    def answer(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        name = model.classifier.name
        outputs = _classes(parts[name].trainable.forward(variables[name], rows))
        if scorer is not None:
            scores = _scores(parts[scorer.name], variables[scorer.name], rows)  # (N,)
            outputs |= {"score": scores, "in_distribution": scores <= module.threshold}
        return outputs

    functions = {(DEFAULT, model.inputs): answer}
    if scorer is not None and scorer.role == "autoencoder":
        autoencoder, held = parts[scorer.name], variables[scorer.name]
        functions[INFER, ALONE] = lambda rows: _error(autoencoder, held, rows)
        functions[RECONSTRUCT, ALONE] = lambda rows: {
            restored_name(model): autoencoder.trainable.forward(held, rows)
        }
    forward = {name: partial(part.trainable.forward, variables[name]) for name, part in parts.items()}
    for name, function in model.signatures.items():
        functions[name, model.inputs] = partial(function, forward)
    return _sign(module, description, functions)


def classifier_alone(model: Model, description: Description, part: Part) -> Signed:
    """Give the classifier as a module of its own, with `serving_default`."""
    module = tf.Module(name="classifier")
    module.classifier = held = _variables(part.weights)
    function = {(DEFAULT, model.inputs): lambda rows: _classes(part.trainable.forward(held, rows))}
    return _sign(module, description, function)


def autoencoder_alone(description: Description, part: Part) -> Signed:
    """Give an autoencoder as a module of its own, with `infer`."""
    module = tf.Module(name=part.network.name)
    held = _variables(part.weights)
    setattr(module, part.network.name, held)
    return _sign(module, description, {(INFER, ALONE): lambda rows: _error(part, held, rows)})


def _classes(logits: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "class_ids": tf.argmax(logits, axis=-1, output_type=tf.int64),
        "probabilities": tf.nn.softmax(logits),
        "logits": logits,
    }


def _scores(part: Part, held: Mapping[str, tf.Variable], rows: tf.Tensor) -> tf.Tensor:
    return part.trainable.score(rows, part.trainable.forward(held, rows))


def _error(part: Part, held: Mapping[str, tf.Variable], rows: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"reconstructed": reconstruction_error(rows, part.trainable.forward(held, rows))}


def _variables(weights: Weights) -> dict[str, tf.Variable]:
    return {
        name: tf.Variable(weights[name], trainable=False, name=name.replace("/", "_"))
        for name in sorted(weights)
    }


def _sign(
    module: tf.Module,
    description: Description,
    functions: Mapping[tuple[str, str], Callable[[tf.Tensor], dict[str, tf.Tensor]]],
) -> Signed:
    """Trace each function under the name and with the argument that it is given by."""
    traced = {}
    for (name, argument), function in functions.items():
        spec = tf.TensorSpec((None, *description.shape), tf.float32, name=argument)
        signature = tf.function(_named(function, name, argument), input_signature=[spec])
        # An attribute too, so that `tf.saved_model.load(folder).infer(X)` works.
        setattr(module, name, signature)
        traced[name] = signature.get_concrete_function()
    return Signed(module, traced)


def _named(function: Callable[..., Any], name: str, argument: str) -> Callable[..., Any]:
    """Give the function under a name, with an argument of a name: TensorFlow takes both from it."""

    def call(*rows: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = function(*rows)
        return outputs

    call.__name__ = name
    parameter = inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    call.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    return call


def described(signed: Signed, model: Model, promised: Mapping[str, Signature]) -> dict[str, Signature]:
    """Give the promised signatures and those that the model adds, as they were traced.

    Raises WrongInput for one whose name, or an output's, is taken, and for outputs that are not of N rows.
    """
    signatures = dict(promised)
    taken = {output for signature in promised.values() for output in signature.outputs}
    (rows,) = promised[DEFAULT].inputs.values()
    for name in model.signatures:
        outputs = {}
        for output, tensor in signed.functions[name].structured_outputs.items():
            if name in promised or output in taken or not output.isidentifier():
                raise WrongInput(f"the signature {name} of the model gives {output!r}, which is taken")
            if tensor.shape.rank is None or tensor.shape.rank < 1 or None in tensor.shape[1:]:
                raise WrongInput(f"the signature {name} gives {output} of shape {tensor.shape}, not (N, ...)")
            taken.add(output)
            outputs[output] = Tensor(tensor.dtype.name, (-1, *tensor.shape[1:]), f"of the signature {name}")
        signatures[name] = Signature({model.inputs: rows}, outputs)
    return signatures
