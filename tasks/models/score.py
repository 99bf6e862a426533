"""How far a row is from the training data, by what the concept makes of it; higher means further."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from tasks.models.trainable import VARIANCE_FLOOR, axes_of_a_row, reconstruction_error, variance

Form = Literal["coarse", "normalised", "error"]


def score(rows: tf.Tensor, restored: tf.Tensor, form: Form = "coarse") -> tf.Tensor:
    """The score float32 (N,) of rows float32 (N, ...).

    `error` is the mean squared error. It calls a dimmed or blank image normal, since there is little to
    get wrong. `normalised` divides it by the variance of the row's values: the share of the row that is
    not explained. `coarse` does so with the error as seen through a 3 x 3 mean: an edge that is a pixel off
    cancels out in it, a stroke too many or too few does not. For rows of one axis, which have no pixels
    beside each other, it is the mean over three values.
    """
    if form == "error":
        return reconstruction_error(rows, restored)
    if form == "normalised":
        error = reconstruction_error(rows, restored)
    else:
        error = tf.reduce_mean(tf.square(_smooth(rows - restored)), axis=axes_of_a_row(rows))
    return error / (variance(rows) + VARIANCE_FLOOR)


def _smooth(values: tf.Tensor) -> tf.Tensor:
    """The mean over 3 x 3 pixels, with zeros around the image; by sums, since pooling fails on N = 0.

    The first two axes of a row are its height and width, a third one holds channels.
    """
    if len(values.shape) == 2:
        padded = tf.pad(values, [[0, 0], [1, 1]])
        return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    channels = [[0, 0]] * (len(values.shape) - 3)
    rows = tf.pad(values, [[0, 0], [1, 1], [0, 0], *channels])
    values = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    columns = tf.pad(values, [[0, 0], [0, 0], [1, 1], *channels])
    return (columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:]) / 9
