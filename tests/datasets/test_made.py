from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from settings.errors import Stopped, WrongInput
from settings.model import Description
from tasks.datasets.arrays import Split, load
from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.made import make

BASE = np.random.default_rng(7).integers(0, 256, (5_000, 28, 28), np.uint8)
LABELS = (np.arange(5_000) % 10).astype(np.uint8)
GREY = Description(shape=(28, 28))


def made(name: str, folder: Path) -> Split:
    base = folder / "base"
    base.mkdir()
    np.save(base / "test-images.npy", BASE)
    np.save(base / "test-labels.npy", LABELS)
    target = folder / name
    target.mkdir()
    counts = make(CATALOGUE[name], target, base, GREY, lambda: False)
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
    make(CATALOGUE["noise"], other, None, GREY, lambda: False)
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
        make(CATALOGUE[name], tmp_path, None, GREY, lambda: False)


def test_stops(tmp_path: Path) -> None:
    """The stop flag is read between pieces, and nothing is left."""
    with pytest.raises(Stopped):
        make(CATALOGUE["noise"], tmp_path, None, GREY, lambda: True)
    assert list(tmp_path.iterdir()) == []


def changed(name: str, folder: Path, values: np.ndarray, rows: Description) -> np.ndarray:
    """Make a set of test rows that are given."""
    for place in ("base", "target"):
        (folder / place).mkdir()
    np.save(folder / "base" / "test-images.npy", values)
    make(CATALOGUE[name], folder / "target", folder / "base", rows, lambda: False)
    return np.asarray(load(folder / "target", "test").images)


@pytest.mark.parametrize("shape", [(13,), (9, 7), (6, 6, 3), (2, 3, 4, 5)])
def test_shuffled(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Each row has its own values, somewhere else, and another row's are elsewhere still; again the same."""
    values = np.random.default_rng(3).random((40, *shape), np.float32)
    rows = Description(shape=shape, dtype="float32", low=0.0, high=1.0)
    shuffled = changed("shuffled", tmp_path, values, rows)
    np.testing.assert_array_equal(
        np.sort(shuffled.reshape(40, -1), axis=1), np.sort(values.reshape(40, -1), axis=1)
    )
    moved = shuffled != values
    assert moved.reshape(40, -1).any(axis=1).all()
    orders = {
        tuple(np.argsort(new.ravel())[np.argsort(np.argsort(old.ravel()))])
        for new, old in zip(shuffled, values, strict=True)
    }
    assert len(orders) == 40
    (tmp_path / "again").mkdir()
    make(CATALOGUE["shuffled"], tmp_path / "again", tmp_path / "base", rows, lambda: False)
    np.testing.assert_array_equal(load(tmp_path / "again", "test").images, shuffled)


def test_noise_and_blank_of_any_rows(tmp_path: Path) -> None:
    """They have the shape, type and range of the rows that they are to be told from."""
    rows = Description(shape=(5, 4, 3), dtype="float32", low=-2.0, high=6.0)
    for name in ("noise", "blank"):
        (tmp_path / name).mkdir()
        make(CATALOGUE[name], tmp_path / name, None, rows, lambda: False)
    noise = load(tmp_path / "noise", "test").images
    assert (noise.shape, noise.dtype) == ((10_000, 5, 4, 3), np.float32)
    assert -2.0 <= noise.min() < -1.99
    assert 5.99 < noise.max() <= 6.0
    assert (load(tmp_path / "blank", "test").images == -2.0).all()


def test_colour_pictures(tmp_path: Path) -> None:
    """Channels stay what they are where pictures are mirrored or turned."""
    values = np.random.default_rng(4).integers(0, 256, (6, 8, 8, 3), np.uint8)
    for name in ("mirrored", "rotated"):
        (tmp_path / name).mkdir()
    rows = Description(shape=(8, 8, 3))
    mirrored = changed("mirrored", tmp_path / "mirrored", values, rows)
    np.testing.assert_array_equal(mirrored[:, 2, 0], values[:, 2, 7])
    rotated = changed("rotated", tmp_path / "rotated", values, rows)
    np.testing.assert_array_equal(rotated[:, 0, 3], values[:, 3, 7])


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("rotated", (8, 6), "equal sides, not of 8 x 6"),
        ("rotated", (13,), "not of rows of 13"),
        ("mirrored", (2, 3, 4, 5), "not of rows of 2 x 3 x 4 x 5"),
    ],
)
def test_what_rows_have_no_form_for(tmp_path: Path, name: str, shape: tuple[int, ...], reason: str) -> None:
    """Only pictures are mirrored, and only square ones keep their shape when they are turned."""
    with pytest.raises(WrongInput, match=f"{name} is made of pictures.*{reason}"):
        changed(name, tmp_path, np.zeros((2, *shape), np.uint8), Description(shape=shape))
