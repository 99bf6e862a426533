"""Patches of another image, and shifts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tasks.models.augmentation import GRID, mix_patches, shift


def mixed(share: float, key: tuple[int, int] = (1, 1), batch_size: int = 400) -> np.ndarray:
    """Which image of the batch each pixel is of, (B, 28, 28)."""
    images = tf.repeat(tf.range(batch_size, dtype=tf.float32)[:, None], 784, axis=1)
    return mix_patches(images, (28, 28), share, tf.constant(key)).numpy().reshape(-1, 28, 28)


def test_patches_are_whole_and_of_the_image_before_in_the_batch() -> None:
    """Each 7 x 7 patch is of one image: the own one or its neighbour."""
    patches = mixed(0.4).reshape(400, GRID, 7, GRID, 7)
    assert (patches == patches[:, :, :1, :, :1]).all()
    foreign = (np.arange(400)[:, None, None] - patches[:, :, 0, :, 0]) % 400
    assert set(np.unique(foreign)) == {0, 1}
    assert foreign.mean() == pytest.approx(0.4, abs=0.03)


def test_the_key_decides() -> None:
    """The same key gives the same patches, another step others."""
    np.testing.assert_array_equal(mixed(0.4, (1, 5)), mixed(0.4, (1, 5)))
    assert (mixed(0.4, (1, 5)) != mixed(0.4, (1, 6))).any()
    assert (mixed(0.4, (1, 5)) != mixed(0.4, (2, 5))).any()


def test_a_batch_of_one_stays_itself() -> None:
    """There is no other image to take patches of."""
    assert (mixed(0.9, batch_size=1) == 0).all()


def test_a_shift_moves_the_whole_batch_by_at_most_so_many_pixels() -> None:
    """Over many keys each of the 25 shifts by up to two pixels occurs, and none beyond."""
    image = np.zeros((2, 28, 28), np.float32)
    image[:, 10:13, 14] = [1, 2, 3]
    seen = set()
    for step in range(300):
        flat = shift(tf.constant(image.reshape(2, 784)), (28, 28), 2, tf.constant([1, step]))
        moved = flat.numpy().reshape(2, 28, 28)
        down, right = np.argwhere(moved[0] == 1)[0] - (10, 14)
        np.testing.assert_array_equal(moved, np.roll(image, (down, right), axis=(1, 2)))
        seen.add((int(down), int(right)))
    assert seen == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


@pytest.mark.parametrize("shape", [(8, 8, 1), (20, 30, 3), (12,), (3, 2)])
def test_patches_of_rows_of_any_shape(shape: tuple[int, ...]) -> None:
    """Each patch is of one row in all of its channels, and about the share of the values is of the next."""
    size = int(np.prod(shape))
    rows = tf.repeat(tf.range(400, dtype=tf.float32)[:, None], size, axis=1)
    own = np.arange(400).reshape(400, *(1 for _ in shape))
    of = (own - mix_patches(rows, shape, 0.4, tf.constant((1, 1))).numpy().reshape(400, *shape)) % 400
    assert set(np.unique(of)) == {0, 1}
    assert of.mean() == pytest.approx(0.4, abs=0.04)
    height = shape[0] // min(GRID, shape[0])
    assert (of[:, :height] == of[:, :1]).all() or len(shape) > 1
    if len(shape) == 3:
        assert (of == of[..., :1]).all()
        assert (of[:, :height, : shape[1] // GRID] == of[:, :1, :1]).all()


def test_a_shift_of_pictures_with_channels_and_of_rows_without_pixels() -> None:
    """Channels move together; a row of one axis stays as it is."""
    images = np.random.default_rng(1).random((2, 6, 9, 3), dtype=np.float32)
    seen = set()
    for step in range(40):
        flat = shift(tf.constant(images.reshape(2, -1)), (6, 9, 3), 1, tf.constant([1, step]))
        moved = flat.numpy().reshape(images.shape)
        fits = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            # Sideways, what leaves a line comes in at the next one: the middle of the image tells.
            if np.array_equal(
                moved[:, 1:-1, 1:-1], np.roll(images, (down, right), axis=(1, 2))[:, 1:-1, 1:-1]
            )
        ]
        assert len(fits) == 1
        seen |= set(fits)
    assert len(seen) == 9
    rows = tf.constant(images.reshape(2, -1))
    np.testing.assert_array_equal(shift(rows, (162,), 1, tf.constant([1, 1])), rows)
