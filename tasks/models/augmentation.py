"""What a training does to the rows of a batch, so that it learns more from them than they show.

Each takes the `shape` of a row, whose values come flat, and a `key`, int32 (2,), which alone decides what is
drawn. Rows of more than one axis are pictures: height, width and, behind, channels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

GRID = 4
"""Patches along an axis: those of MNIST are of 7 x 7 pixels."""


def mix_patches(rows: tf.Tensor, shape: tuple[int, ...], share: float, key: tf.Tensor) -> tf.Tensor:
    """Rows (B, values) in each of which about a `share` of the patches is of the next row in the batch.

    To restore the row from it, the concept has to know what goes together in a digit; a plain autoencoder
    learns to copy strokes, and copies those of a turned digit, too.
    """
    patches = _values_of_patches(shape)  # (patches, values)
    drawn = tf.random.stateless_uniform((tf.shape(rows)[0], len(patches)), seed=key) < share
    foreign = tf.matmul(tf.cast(drawn, rows.dtype), tf.constant(patches, rows.dtype))
    return tf.where(foreign > 0, tf.roll(rows, 1, axis=0), rows)


def shift(rows: tf.Tensor, shape: tuple[int, ...], most: int, key: tf.Tensor) -> tf.Tensor:
    """Rows (B, values), all moved by the same number of pixels down and right, each from -most to most.

    What leaves at one side comes in at the other: digits have an empty rim of four pixels, and of other
    pictures it is a line at the edge. Rows of one axis, which have no pixels, stay as they are.
    """
    if len(shape) < 2:
        return rows
    down, right = tf.unstack(tf.random.stateless_uniform((2,), key, -most, most + 1, tf.int32))
    pixel = int(np.prod(shape[2:]))
    return tf.roll(rows, pixel * (shape[1] * down + right), axis=1)


def _values_of_patches(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """One row per patch with 1 at its values, (patches, values): as a product it spreads patches."""
    number = np.arange(shape[0]) * GRID // shape[0]  # of the patch along the first axis
    if len(shape) > 1:
        across = np.arange(shape[1]) * GRID // shape[1]
        number = number[:, None] * GRID + across[None, :]
        number = np.broadcast_to(number.reshape(*number.shape, *(1 for _ in shape[2:])), shape)
    belongs: npt.NDArray[np.bool_] = number.reshape(1, -1) == np.unique(number)[:, None]
    return belongs.astype(np.float32)
