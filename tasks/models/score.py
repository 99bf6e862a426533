"""How far an image is from the training data, by what the concept makes of it; higher means further."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Form = Literal["coarse", "normalised", "error"]

VARIANCE_FLOOR = 1e-2
"""Added to the variance: keeps the score of an image without contrast finite, and high.

The variance of a handwritten digit is about 0.1.
"""


def reconstruction_error(imgs: tf.Tensor, reconstructed: tf.Tensor) -> tf.Tensor:
    """The mean squared error over the pixels, float32 (N,), of images float32 (N, 28, 28)."""
    return tf.reduce_mean(tf.math.squared_difference(imgs, reconstructed), axis=(1, 2))


def score(imgs: tf.Tensor, reconstructed: tf.Tensor, form: Form = "coarse") -> tf.Tensor:
    """The score float32 (N,) of images float32 (N, 28, 28).

    `error` is the mean squared error. It calls a dimmed or blank image normal, since there is little to
    get wrong. `normalised` divides it by the variance of the image's pixels: the share of the image that is
    not explained. `coarse` does so with the error as seen through a 3 x 3 mean: an edge that is a pixel off
    cancels out in it, a stroke too many or too few does not.
    """
    if form == "error":
        return reconstruction_error(imgs, reconstructed)
    mean = tf.reduce_mean(imgs, axis=(1, 2), keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(imgs, mean), axis=(1, 2))
    if form == "normalised":
        error = reconstruction_error(imgs, reconstructed)
    else:
        error = tf.reduce_mean(tf.square(_smooth(imgs - reconstructed)), axis=(1, 2))
    return error / (variance + VARIANCE_FLOOR)


def _smooth(values: tf.Tensor) -> tf.Tensor:
    """The mean over 3 x 3 pixels, with zeros around the image; by sums, since pooling fails on N = 0."""
    rows = tf.pad(values, [[0, 0], [1, 1], [0, 0]])
    values = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    columns = tf.pad(values, [[0, 0], [0, 0], [1, 1]])
    return (columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:]) / 9
