from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

from tasks.datasets.local import local_inputs


def test_nothing_there(small: Any, tmp_path: Path) -> None:
    """A folder that is not there has no inputs; made sets have none at all."""
    assert local_inputs(small.dataset(), tmp_path / "none", []) == {}
    assert local_inputs("noise", tmp_path, []) == {}


def test_digests_of_what_is_there(small: Any, tmp_path: Path) -> None:
    """Each published file found is there with the sha256 of its bytes, others are not."""
    name = "train-images-idx3-ubyte.gz"
    (tmp_path / name).write_bytes(small.published[name])
    (tmp_path / "notes.txt").write_text("mine")
    expected = {name: hashlib.sha256(small.published[name]).hexdigest()}
    assert local_inputs(small.dataset(), tmp_path, []) == expected


def test_a_changed_byte_is_seen(small: Any, tmp_path: Path) -> None:
    """One byte makes another digest, decoded or not."""
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(gzip.decompress(small.published[f"{path.name}.gz"]))
    before = local_inputs(small.dataset(), tmp_path, [])
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert local_inputs(small.dataset(), tmp_path, []) != before


def test_the_folders_place_does_not_matter(small: Any, tmp_path: Path) -> None:
    """The same files elsewhere give the same digests."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name, data in small.published.items():
            (tmp_path / folder / name).write_bytes(data)
    there = [local_inputs(small.dataset(), tmp_path / folder, []) for folder in ("a", "b")]
    assert there[0] == there[1]
    assert len(there[0]) == 4
    both = local_inputs(small.dataset(), tmp_path / "a", [tmp_path / "b"])
    assert len(both) == 8


def test_downloads_do_not_count(small: Any, tmp_path: Path) -> None:
    """What a fetch leaves behind does not change the inputs of the next."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / "train-images-idx3-ubyte.gz").write_bytes(b"x")
    assert local_inputs(small.dataset(), tmp_path, []) == {}


def test_packages_count(small: Any, tmp_path: Path) -> None:
    """A package of a source in a folder is an input."""
    for name in ("digits-1.0.0.tgz", "dataset-digits_1.0-1_all.deb", "other-1.0.0.tgz"):
        (tmp_path / name).write_bytes(name.encode())
    inputs = local_inputs(small.dataset("npm:digits@1.0.0", "deb:dataset-digits"), tmp_path, [])
    assert sorted(inputs) == ["dataset-digits_1.0-1_all.deb", "digits-1.0.0.tgz"]
