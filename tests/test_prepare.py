"""What a delivery looks at before anything slow starts."""

from __future__ import annotations

import shutil

import pytest

from settings.errors import Surroundings
from settings.hyperparameters import DataSettings
from tasks.datasets.catalogue import expected_bytes
from tasks.prepare import MODELS_BYTES, check_disk
from tasks.store.store import Store

IMAGE_AND_LABEL = 28 * 28 + 1


def test_room_is_asked_for_every_set_also_those_made_of_others(tmp_path, monkeypatch):
    """A set made of the training set or of the first outlier set counts with the images of that one."""
    data = DataSettings(
        train="fashion-mnist", outliers=("notmnist-small", "glyphs"), made=("blank", "dimmed", "rotated")
    )
    made = (1_000 + 18_724 + 10_000) * IMAGE_AND_LABEL
    fetched = sum(expected_bytes(name) for name in ("fashion-mnist", "notmnist-small", "glyphs"))
    needed = fetched + made + MODELS_BYTES
    store = Store(tmp_path / "data", tmp_path / "models")
    usage = shutil.disk_usage(tmp_path)

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed))
    check_disk(store, data)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed - 1))
    with pytest.raises(
        Surroundings, match=f"{needed:,} bytes are needed, {needed - 1:,} are free; make room"
    ):
        check_disk(store, data)
