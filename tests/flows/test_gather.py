"""What a delivery gathers for a set of one's own: real sets, real decoding, through the tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.__main__ import main
from settings.hyperparameters import DataSettings
from tasks.datasets.arrays import load
from tasks.datasets.description import describe
from tasks.fetch import Gathered
from tasks.opening import open_dataset

RANDOM = np.random.default_rng(15)
COUNTS = {"train": 24, "test": 9}


def pictures(folder: Path, count: int, *shape: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(RANDOM.integers(0, 256, shape, np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the sets `cats`, 8 x 8, and `dogs`, pictures of differing size."""
    for name in ("DATA_ROOT", "MODELS_ROOT"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    for split, count in COUNTS.items():
        for label in ("lion", "lynx", "puma"):
            pictures(tmp_path / "cats" / split / label, count // 3, 8, 8, 3)
    pictures(tmp_path / "dogs", 4, 9, 7)
    Image.fromarray(RANDOM.integers(0, 256, (5, 30), np.uint8)).save(tmp_path / "dogs" / "wide.png")
    for name in ("cats", "dogs"):
        assert main(["data", "add", name, name]) == 0
    return tmp_path


@pytest.fixture
def gather(place: Path, prefect_api: str) -> Iterator[Callable[..., tuple[Gathered, set[str]]]]:
    """A function that gathers the data of settings; gives it, and the tasks that computed something."""
    from prefect import flow
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_LOCAL_STORAGE_PATH,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    from settings.places import read_places
    from tasks import fetch
    from tasks.timeline import Timeline
    from tasks.workplace import open_workplace

    def run(**data: Any) -> tuple[Gathered, set[str]]:
        timeline = Timeline()
        workplace = open_workplace(read_places(os.environ, Path.cwd()), "mnist")
        gathering = flow(name="gather", persist_result=False)(
            lambda: fetch.gather(workplace, DataSettings(**data), timeline, outliers=True)
        )
        gathered = gathering()
        return gathered, {entry.name for entry in timeline.entries if entry.how == "computed"}

    with temporary_settings(
        {
            PREFECT_API_URL: prefect_api,
            PREFECT_LOCAL_STORAGE_PATH: place / "records",
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
    ):
        yield run


def folder(place: Path, artifact: Any) -> Path:
    return place / "DATA_ROOT" / artifact.kind.partition("/")[2] / artifact.path


def test_a_set_of_ones_own_alone(place: Path, gather: Any) -> None:
    """Made outliers stand in for real ones, of which the shuffled rows are the primary ones."""
    gathered, computed = gather(train="cats")
    assert gathered.description.shape == (8, 8, 3)
    assert gathered.description.classes == ("lion", "lynx", "puma")
    assert list(gathered.sets) == ["shuffled", "dimmed", "blank", "noise", "rotated", "mirrored"]
    assert (gathered.primary, gathered.wanted, gathered.primary_is_made) == ("shuffled", "shuffled", True)
    assert gathered.data.held_out == 12
    assert {describe(folder(place, each)).shape for each in gathered.sets.values()} == {(8, 8, 3)}
    dimmed, shuffled = (load(folder(place, gathered.sets[name]), "test") for name in ("dimmed", "shuffled"))
    np.testing.assert_array_equal(dimmed.images, np.rint(shuffled.images * 0.3))
    assert len(computed) == 7
    assert gather(train="cats") == (gathered, set())


def test_outliers_of_ones_own(place: Path, gather: Any) -> None:
    """Both sets are brought to the shape; the outliers are the primary ones, and blank ones stand beside."""
    gathered, _ = gather(train="cats", outliers=("blank", "dogs"), shape="6x6", made=("dimmed",))
    assert gathered.description.shape == (6, 6)
    assert list(gathered.sets) == ["blank", "dogs", "dimmed"]
    assert (gathered.primary, gathered.primary_is_made) == ("blank", True)
    gathered, computed = gather(train="cats", outliers=("dogs", "blank"), shape="6x6", made=("dimmed",))
    assert (gathered.primary, gathered.wanted, gathered.primary_is_made) == ("dogs", "dogs", False)
    assert computed == {"fetch-dataset dimmed"}
    assert load(folder(place, gathered.sets["dogs"]), "test").images.shape == (5, 6, 6)


def test_a_shape_that_a_set_has_already_is_no_other_set(place: Path, gather: Any) -> None:
    """Nothing is decoded again for it; another one is."""
    first, _ = gather(train="cats")
    again, computed = gather(train="cats", shape="8x8x3")
    assert (replace(again, data=first.data), computed) == (first, set())
    other, computed = gather(train="cats", shape="8x8")
    assert other.dataset.digest != first.dataset.digest
    assert "fetch-dataset cats" in computed


def test_classes_that_are_left_out(place: Path, gather: Any) -> None:
    """They are the primary outliers, the others are trained on, and what is made is made of these."""
    gathered, computed = gather(train="cats", leave_out=("lynx",), made=("mirrored",))
    assert gathered.description.classes == ("lion", "puma")
    assert list(gathered.sets) == ["left-out", "shuffled", "mirrored"]
    assert (gathered.primary, gathered.wanted, gathered.primary_is_made) == ("left-out", "left-out", False)
    assert gathered.data.held_out == 8
    whole = open_dataset("cats").known_labels()
    counts = {name: len(load(folder(place, each), "test").images) for name, each in gathered.sets.items()}
    assert counts == {"left-out": (whole == 1).sum(), "shuffled": 6, "mirrored": 6}
    assert {"fetch-dataset cats", "fetch-dataset left-out"} <= computed
    assert gather(train="cats", leave_out=("lynx",), made=("mirrored",)) == (gathered, set())
    named, _ = gather(train="cats", leave_out=("lynx",), outliers=("noise",), made=())
    assert list(named.sets) == ["noise", "left-out"]


def test_another_content_under_the_name_is_decoded(place: Path, gather: Any) -> None:
    """The content is in the key, and where it came from is not."""
    first, _ = gather(train="cats", made=())
    (place / "cats").rename(place / "elsewhere")
    assert main(["data", "remove", "cats"]) == 0
    assert main(["data", "add", "cats", "elsewhere"]) == 0
    again, computed = gather(train="cats", made=())
    assert (again.dataset, computed) == (first.dataset, {"fetch-dataset cats"})
    (place / "elsewhere" / "train" / "lion" / "0.png").unlink()
    assert main(["data", "add", "cats", "elsewhere", "--replace"]) == 0
    other, computed = gather(train="cats", made=())
    assert other.dataset.digest != first.dataset.digest
    assert computed == {"fetch-dataset cats", "fetch-dataset shuffled"}
    assert other.sets["shuffled"].digest == first.sets["shuffled"].digest  # of test rows, which are the same


def test_opened_by_name(place: Path) -> None:
    """Notebooks open a set of one's own as one of the catalogue, in another shape where it is named."""
    assert open_dataset("cats", "train").images.shape == (24, 8, 8, 3)
    assert open_dataset("dogs", shape=(4, 4)).images.shape == (5, 4, 4)
