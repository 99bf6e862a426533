"""The rows that a server is probed with."""

from __future__ import annotations

import numpy as np
import pytest

from settings.errors import WrongInput
from settings.model import Description
from tasks.release.golden import golden_rows

MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))
HELD_OUT = np.random.default_rng(1).random((30, 28, 28), dtype=np.float32)


def test_kinds() -> None:
    """Ten held-out images, then noise, black, white and dimmed ones."""
    imgs = golden_rows(HELD_OUT, np.ones(30, bool), MNIST)
    assert (imgs.dtype, imgs.shape) == (np.float32, (16, 28, 28))
    np.testing.assert_array_equal(imgs[:10], HELD_OUT[:10])
    assert 0.45 < imgs[10:12].mean() < 0.55
    assert (imgs[12].max(), imgs[13].min()) == (0, 1)
    np.testing.assert_allclose(imgs[14:], HELD_OUT[:2] * 0.3, rtol=1e-6)


def test_rows_that_are_no_bytes() -> None:
    """Noise, the rows of one value and the dimmed ones stay between the lowest and the highest value."""
    description = Description(shape=(5,), classes=("a", "b"), dtype="float32", low=-2.0, high=6.0)
    held_out = np.random.default_rng(1).uniform(-2, 6, (30, 5)).astype(np.float32)
    rows = golden_rows(held_out, np.ones(30, bool), description)
    assert (rows.dtype, rows.shape) == (np.float32, (16, 5))
    assert rows[10:12].min() < 0 < 2 < rows[10:12].max() < 6
    assert (rows[12] == -2).all()
    assert (rows[13] == 6).all()
    np.testing.assert_allclose(rows[14:] + 2, (held_out[:2] + 2) * 0.3, rtol=1e-5)


def test_unflagged_first() -> None:
    """The first images that are in distribution are taken, others only where those are too few."""
    in_distribution = np.arange(30) >= 21
    imgs = golden_rows(HELD_OUT, in_distribution, MNIST)
    np.testing.assert_array_equal(imgs[:10], np.concatenate([HELD_OUT[21:], HELD_OUT[:1]]))


def test_too_few() -> None:
    """Fewer than ten held-out images are refused, and the setting named."""
    with pytest.raises(WrongInput, match=r"9 held-out rows are too few.*data\.held_out"):
        golden_rows(HELD_OUT[:9], np.ones(9, bool), MNIST)
