"""Published files under the names that programs and browsers give them: found by what they hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.datasets.catalogue import Dataset, Published
from tasks.datasets.errors import Unreachable
from tasks.datasets.fetch import fetch
from tasks.datasets.local import local_inputs

Names = Callable[[str], str]


def unpacked(published: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.removesuffix(".gz"): gzip.decompress(data) for name, data in published.items()}


LEFT_BY = {
    "7-zip, which takes the name inside the gzip file": lambda name: name.replace("-idx", ".idx"),
    "Kaggle, with a folder for each file": lambda name: f"{name}/{name}",
    "torchvision": lambda name: f"MNIST/raw/{name}",
    "capitals": str.upper,
}


@pytest.mark.parametrize("rename", LEFT_BY.values(), ids=LEFT_BY)
@pytest.mark.parametrize("own", [True, False], ids=["its own folder", "DATASET_FOLDER"])
def test_unpacked_files(rename: Names, own: bool, small: Any, tmp_path: Path) -> None:
    """They serve the dataset from the folder that was named, and no source is asked."""
    home, shared, output = tmp_path / "home", tmp_path / "shared", tmp_path / "output"
    put(home if own else shared, {rename(name): data for name, data in unpacked(small.published).items()})
    notes = get(small.dataset(), output, home, shared)
    assert set(notes["served"].values()) == {str(home if own else shared)}
    for name, array in small.arrays.items():
        np.testing.assert_array_equal(np.load(output / f"{name}.npy"), array)
    assert len(local_inputs(small.dataset(), home, [shared])) == 4


def test_a_second_download_of_a_browser(small: Any, tmp_path: Path) -> None:
    """`name (1).gz`, gzipped as it was published."""
    files = {name.replace(".gz", " (1).gz"): data for name, data in small.published.items()}
    put(tmp_path / "home", files)
    assert len(get(small.dataset(), tmp_path / "output", tmp_path / "home")["served"]) == 4


def test_an_archive(small: Any, png: Callable[[np.ndarray], bytes], tmp_path: Path) -> None:
    """It is known by its size, and by its digest."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("set/A/one.png")
        picture = png(np.full((28, 28), 7, np.uint8))
        info.size = len(picture)
        tar.addfile(info, io.BytesIO(picture))
    data = packed.getvalue()
    file = Published(
        "set.tar.gz", "archive", "test", 1, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)
    )
    put(tmp_path / "home", {"set.tar (1).gz": data, "other.tar.gz": data[:-1]})
    dataset = Dataset("small", "small", "published", {"test": 1}, (), (file,))
    assert get(dataset, tmp_path / "output", tmp_path / "home")["images"] == {"test": 1}


def test_the_published_name_comes_first(small: Any, tmp_path: Path) -> None:
    """A file with the published name is read, and no other beside it counts as an input."""
    put(tmp_path / "home", small.published)
    before = local_inputs(small.dataset(), tmp_path / "home", [])
    put(tmp_path / "home", {f"old/{name}": data for name, data in unpacked(small.published).items()})
    assert local_inputs(small.dataset(), tmp_path / "home", []) == before


def test_what_only_looks_like_it(small: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file with the right beginning and another content is passed over, which is said with its path."""
    files = unpacked(small.published)
    mine = {name.replace("-idx", ".idx"): data for name, data in files.items()}
    name = "train-images.idx3-ubyte"
    put(tmp_path / "home", mine | {name: mine[name][:-1] + bytes([mine[name][-1] ^ 1])})
    with pytest.raises(Unreachable, match=r"no source serves train-images-idx3-ubyte\.gz:"):
        get(small.dataset(), tmp_path / "output", tmp_path / "home")
    assert [line for line in caplog.messages if line.endswith("it is not used") and name in line]


def test_what_is_there_and_not_used_is_said(
    small: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that somebody put there for the dataset, and that it is not read from, are named."""
    caplog.set_level(logging.WARNING)
    put(tmp_path / "home", {"archive.zip": b"PK", "notes.txt": b"mine"})
    put(tmp_path / "shared", {"small.npz": b"PK", "taxes.csv": b"1"})
    with pytest.raises(Unreachable):
        get(small.dataset(), tmp_path / "output", tmp_path / "home", tmp_path / "shared")
    said = [line for line in caplog.messages if "not used" in line]
    assert [line.partition(", which")[0] for line in said] == [
        f"{tmp_path}/home holds archive.zip",
        f"{tmp_path}/shared holds small.npz",
    ]
    assert "train-images-idx3-ubyte.gz" in said[0]


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def get(dataset: Dataset, output: Path, home: Path, *shared: Path) -> dict[str, Any]:
    output.mkdir()
    return fetch(dataset, output, home=home, local_folders=shared)
