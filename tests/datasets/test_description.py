"""What is known of a dataset's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.model import Description
from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.description import describe
from tasks.datasets.fetch import description_of, fetch
from tasks.store.keys import Key
from tasks.store.store import Store


def test_of_a_record(tmp_path: Path, small: Any) -> None:
    """What a fetch notes is what is told later: the catalogue's names, also of classes that no row has."""
    home = tmp_path / "small"
    home.mkdir()
    for name, data in small.published.items():
        (home / name).write_bytes(data)
    dataset = small.dataset(classes=tuple("abcdefghij"))
    store = Store(tmp_path, tmp_path / "models")
    made = store.make("dataset/small", Key({}), lambda folder: fetch(dataset, folder, home=home))
    assert describe(store.folder(made)) == Description(shape=(28, 28), classes=tuple("abcdefghij"))
    assert {path.name for path in store.folder(made).glob("*.npy")} == {
        f"{split}-{content}.npy" for split in ("train", "test") for content in ("images", "labels")
    }


def test_without_a_record(tmp_path: Path) -> None:
    """The shape is that of the array, and the classes are counted over both splits."""
    np.save(tmp_path / "train-images.npy", np.zeros((4, 6, 5, 3), np.uint8))
    np.save(tmp_path / "train-labels.npy", np.array([0, 2, 1, 0], np.uint8))
    np.save(tmp_path / "test-images.npy", np.zeros((2, 6, 5, 3), np.uint8))
    np.save(tmp_path / "test-labels.npy", np.array([0, 3], np.uint8))
    assert describe(tmp_path) == Description(shape=(6, 5, 3), classes=("0", "1", "2", "3"))


def test_floats_without_labels(tmp_path: Path) -> None:
    """The range is that of the values, and there are no classes."""
    np.save(tmp_path / "test-images.npy", np.array([[-1.5, 0.0], [2.0, 4.25]], np.float32))
    assert describe(tmp_path) == Description(shape=(2,), classes=(), dtype="float32", low=-1.5, high=4.25)


@pytest.mark.parametrize(
    ("name", "label", "meaning"),
    [
        ("mnist", 7, "7"),
        ("fashion-mnist", 0, "T-shirt/top"),
        ("fashion-mnist", 9, "Ankle boot"),
        ("notmnist-small", 2, "C"),
        ("notmnist-sample", 9, "J"),
        ("glyphs", 0, "A"),
    ],
)
def test_the_names_of_classes(name: str, label: int, meaning: str) -> None:
    """The labels of the catalogue's sets mean what their homes say."""
    assert description_of(CATALOGUE[name]).classes[label] == meaning


def test_made_sets(tmp_path: Path) -> None:
    """One that is made of rows has their labels, one that is made from nothing has none."""
    for name in ("base", "noise", "shuffled"):
        (tmp_path / name).mkdir()
    rows = np.random.default_rng(1).integers(0, 256, (3, 5, 4), np.uint8)
    np.save(tmp_path / "base" / "test-images.npy", rows)
    np.save(tmp_path / "base" / "test-labels.npy", np.array([1, 0, 1], np.uint8))
    like = describe(tmp_path / "base")
    noise = fetch("noise", tmp_path / "noise", home=tmp_path, rows=like)["description"]
    assert Description.model_validate(noise) == Description(shape=(5, 4))
    shuffled = fetch("shuffled", tmp_path / "shuffled", home=tmp_path, base=tmp_path / "base")["description"]
    assert Description.model_validate(shuffled) == like
