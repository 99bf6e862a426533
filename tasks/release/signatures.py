"""The signatures of a release as TensorFlow functions over the weights of the two networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tasks.models import networks, score

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Signed:
    """A module that holds the variables, and its signatures: traced functions by name.

    The functions refer to the variables only weakly, so keep the module as long as the functions.
    """

    module: Any  # tf.Module
    functions: dict[str, Any]  # name -> tf.ConcreteFunction


def release(
    classifier: Weights, concept: Weights, *, activation: networks.Activation, score_form: score.Form
) -> Signed:
    """Give both networks and the threshold as one module with the three signatures of a release.

    The variable `module.threshold` is NaN, by which every image is out of distribution, until it is assigned.
    """
    module = tf.Module(name="release")
    module.classifier = _variables(classifier)
    module.concept = _variables(concept)
    module.threshold = tf.Variable(np.float32(np.nan), trainable=False, name="threshold")

    def serving_default(imgs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = score.score(imgs, networks.reconstruct(module.concept, imgs, activation), score_form)  # (N,)
        return {
            **_classes(networks.classify(module.classifier, imgs)),
            "score": scores,
            "in_distribution": scores <= module.threshold,
        }

    def infer(X: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "reconstructed": score.reconstruction_error(
                X, networks.reconstruct(module.concept, X, activation)
            )
        }

    def reconstruct(X: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": networks.reconstruct(module.concept, X, activation)}

    return _sign(module, serving_default, infer, reconstruct)


def classifier_alone(weights: Weights) -> Signed:
    """Give the classifier as a module of its own, with `serving_default`."""
    module = tf.Module(name="classifier")
    module.classifier = _variables(weights)

    def serving_default(imgs: tf.Tensor) -> dict[str, tf.Tensor]:
        return _classes(networks.classify(module.classifier, imgs))

    return _sign(module, serving_default)


def concept_alone(weights: Weights, *, activation: networks.Activation) -> Signed:
    """Give the concept as a module of its own, with `infer`."""
    module = tf.Module(name="concept")
    module.concept = _variables(weights)

    def infer(X: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "reconstructed": score.reconstruction_error(
                X, networks.reconstruct(module.concept, X, activation)
            )
        }

    return _sign(module, infer)


def _classes(logits: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "class_ids": tf.argmax(logits, axis=-1, output_type=tf.int64),
        "probabilities": tf.nn.softmax(logits),
        "logits": logits,
    }


def _variables(weights: Weights) -> dict[str, tf.Variable]:
    return {name: tf.Variable(weights[name], trainable=False, name=name) for name in sorted(weights)}


def _sign(module: tf.Module, *functions: Callable[..., Any]) -> Signed:
    """Trace each function under its own name and that of its argument."""
    traced = {}
    for function in functions:
        (argument,) = inspect.signature(function).parameters
        spec = tf.TensorSpec((None, 28, 28), tf.float32, name=argument)
        signature = tf.function(function, input_signature=[spec])
        # An attribute too, so that `tf.saved_model.load(folder).infer(X)` works.
        setattr(module, function.__name__, signature)
        traced[function.__name__] = signature.get_concrete_function()
    return Signed(module, traced)
