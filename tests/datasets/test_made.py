from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from settings.errors import Stopped, WrongInput
from tasks.datasets.arrays import Split, load
from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.made import make

BASE = np.random.default_rng(7).integers(0, 256, (5_000, 28, 28), np.uint8)
LABELS = (np.arange(5_000) % 10).astype(np.uint8)


def made(name: str, folder: Path) -> Split:
    base = folder / "base"
    base.mkdir()
    np.save(base / "test-images.npy", BASE)
    np.save(base / "test-labels.npy", LABELS)
    target = folder / name
    target.mkdir()
    counts = make(CATALOGUE[name], target, base, lambda: False)
    split = load(target, "test")
    assert counts == {"test": len(split.images)}
    return split


def test_noise(tmp_path: Path) -> None:
    """10,000 images in which each of the 256 levels is as likely; the same for each run."""
    split = made("noise", tmp_path)
    assert (len(split.images), split.labels) == (10_000, None)
    counts = np.bincount(split.images.ravel(), minlength=256)
    assert counts.min() > 0.98 * counts.mean()
    assert counts.max() < 1.02 * counts.mean()
    other = tmp_path / "again"
    other.mkdir()
    make(CATALOGUE["noise"], other, None, lambda: False)
    np.testing.assert_array_equal(load(other, "test").images, split.images)


def test_blank(tmp_path: Path) -> None:
    """1,000 black images."""
    split = made("blank", tmp_path)
    assert (len(split.images), int(split.images.max())) == (1_000, 0)


def test_dimmed(tmp_path: Path) -> None:
    """The outliers at 0.3 of their brightness, rounded, with their labels."""
    split = made("dimmed", tmp_path)
    np.testing.assert_array_equal(split.images, np.rint(BASE * 0.3).astype(np.uint8))
    assert split.images.max() == 76  # 255 x 0.3 is 76.5, rounded to even
    np.testing.assert_array_equal(split.labels, LABELS)


def test_rotated(tmp_path: Path) -> None:
    """Digits turned by 90 degrees: what was at the right is on top."""
    split = made("rotated", tmp_path)
    np.testing.assert_array_equal(split.images[4_999, 0], BASE[4_999, :, 27])
    np.testing.assert_array_equal(split.images[0, :, 0], BASE[0, 0, ::-1])
    np.testing.assert_array_equal(split.labels, LABELS)


def test_mirrored(tmp_path: Path) -> None:
    """Digits with left and right exchanged."""
    split = made("mirrored", tmp_path)
    np.testing.assert_array_equal(split.images[..., 0], BASE[..., 27])
    np.testing.assert_array_equal(split.images[..., 5], BASE[..., 22])


@pytest.mark.parametrize(
    ("name", "what"), [("dimmed", "the primary outlier set"), ("mirrored", "the training set")]
)
def test_needs_a_base(tmp_path: Path, name: str, what: str) -> None:
    """A set that is made from another says which one it lacks."""
    with pytest.raises(WrongInput, match=f"{name} is made from {what}"):
        make(CATALOGUE[name], tmp_path, None, lambda: False)


def test_stops(tmp_path: Path) -> None:
    """The stop flag is read between pieces, and nothing is left."""
    with pytest.raises(Stopped):
        make(CATALOGUE["noise"], tmp_path, None, lambda: True)
    assert list(tmp_path.iterdir()) == []
