"""What a training does to the images of a batch, so that it learns more from them than they show.

Each takes a `key`, int32 (2,), which alone decides what is drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

SIDE = 28
PATCH = 7
"""Pixels of a patch's side: 4 x 4 patches an image."""


def mix_patches(images: tf.Tensor, share: float, key: tf.Tensor) -> tf.Tensor:
    """Images (B, 784) in each of which about a `share` of the patches is of the next image in the batch.

    To restore the image from it, the concept has to know what goes together in a digit; a plain autoencoder
    learns to copy strokes, and copies those of a turned digit, too.
    """
    grid = (SIDE // PATCH) ** 2
    drawn = tf.random.stateless_uniform((tf.shape(images)[0], grid), seed=key) < share  # (B, 16)
    foreign = tf.matmul(tf.cast(drawn, images.dtype), tf.constant(_pixels_of_patches(), images.dtype))
    return tf.where(foreign > 0, tf.roll(images, 1, axis=0), images)


def shift(images: tf.Tensor, most: int, key: tf.Tensor) -> tf.Tensor:
    """Images (B, 784), all moved by the same number of pixels down and right, each from -most to most.

    What leaves at one side comes in at the other: digits have an empty rim of four pixels.
    """
    down, right = tf.unstack(tf.random.stateless_uniform((2,), key, -most, most + 1, tf.int32))
    return tf.roll(images, SIDE * down + right, axis=1)


def _pixels_of_patches() -> npt.NDArray[np.float32]:
    """One row per patch with 1 at its pixels, (16, 784): as a product it spreads patches over pixels."""
    patch = np.arange(SIDE) // PATCH
    number = patch[:, None] * (SIDE // PATCH) + patch[None, :]  # (28, 28)
    belongs: npt.NDArray[np.bool_] = number.reshape(1, -1) == np.arange(number.max() + 1)[:, None]
    return belongs.astype(np.float32)
