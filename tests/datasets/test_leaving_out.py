"""Classes that are taken out of a dataset, and judged as outliers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from settings.errors import Stopped
from settings.model import Description
from tasks.datasets.arrays import load
from tasks.datasets.description import describe
from tasks.datasets.leaving_out import keep_classes, keep_left_out
from tasks.store.keys import Key
from tasks.store.store import Store

CLASSES = ("ape", "bee", "cat", "dog")
RANDOM = np.random.default_rng(13)
ROWS = {
    split: RANDOM.integers(0, 256, (count, 4, 3), np.uint8)
    for split, count in (("train", 3_000), ("test", 40))
}
LABELS = {split: RANDOM.integers(0, 4, len(rows)).astype(np.uint8) for split, rows in ROWS.items()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A dataset with a record, as the store has it."""

    def write(folder: Path) -> dict[str, object]:
        for split, rows in ROWS.items():
            np.save(folder / f"{split}-images.npy", rows)
            np.save(folder / f"{split}-labels.npy", LABELS[split])
        quarantined = [{"file": "x.png", "reason": "broken"}]
        described = Description(shape=(4, 3), classes=CLASSES).model_dump(mode="json")
        return {"title": "Pets", "quarantined": quarantined, "description": described}

    store = Store(tmp_path / "data", tmp_path / "models")
    return store.folder(store.make("dataset/pets", Key({}), write))


def test_the_other_classes_stay_and_are_numbered_anew(base: Path, tmp_path: Path) -> None:
    """Every row of theirs in its order, none of the others, and names that fit the numbers."""
    notes = keep_classes(base, tmp_path, ["bee", "ape"], lambda: False)
    for split, rows in ROWS.items():
        kept = np.isin(LABELS[split], [2, 3])
        np.testing.assert_array_equal(load(tmp_path, split).images, rows[kept])
        np.testing.assert_array_equal(load(tmp_path, split).labels, LABELS[split][kept] - 2)
        assert notes["images"][split] == kept.sum()
    assert notes["description"]["classes"] == ["cat", "dog"]
    assert notes["title"] == "Pets without bee, ape"
    assert notes["quarantined"] == [{"file": "x.png", "reason": "broken"}]


def test_the_test_rows_of_the_classes_that_are_left_out(base: Path, tmp_path: Path) -> None:
    """They are the outliers; what would have been trained on is of no use here."""
    notes = keep_left_out(base, tmp_path, ["dog", "bee"], lambda: False)
    left = np.isin(LABELS["test"], [1, 3])
    np.testing.assert_array_equal(load(tmp_path, "test").images, ROWS["test"][left])
    np.testing.assert_array_equal(load(tmp_path, "test").labels, LABELS["test"][left] // 2)
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["test-images.npy", "test-labels.npy"]
    assert Description.model_validate(notes["description"]).classes == ("bee", "dog")
    assert notes["images"] == {"test": left.sum()}


def test_stops(base: Path, tmp_path: Path) -> None:
    """The stop flag is read between pieces, and no array is left."""
    answers = iter([False, False, True])
    with pytest.raises(Stopped):
        keep_classes(base, tmp_path, ["dog"], lambda: next(answers))
    assert not list(tmp_path.glob("*.npy"))
    assert describe(base).classes == CLASSES
