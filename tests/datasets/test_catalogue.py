from __future__ import annotations

import subprocess
import sys

import pytest

from settings.errors import WrongInput
from tasks.datasets.catalogue import CATALOGUE, find


def test_names() -> None:
    """The catalogue has the sets of the project under their names."""
    assert list(CATALOGUE) == [
        "mnist",
        "fashion-mnist",
        "notmnist-small",
        "notmnist-large",
        "notmnist-sample",
        "glyphs",
        "noise",
        "blank",
        "dimmed",
        "rotated",
        "mirrored",
        "shuffled",
    ]


def test_unknown_name() -> None:
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(WrongInput, match="'notmnist'; there are mnist, fashion-mnist, notmnist-small"):
        find("notmnist")


@pytest.mark.parametrize("name", CATALOGUE)
def test_entries_are_whole(name: str) -> None:
    """A published set has files with a digest for each split; a made one says from what."""
    dataset = find(name)
    if dataset.kind == "published":
        assert {file.split for file in dataset.files} == set(dataset.images)
        assert all(file.count == dataset.images[file.split] for file in dataset.files)
        lengths = {"sha256": 64, "md5": 32}
        for file in dataset.files:
            algorithm, _, digest = file.digest.partition(":")
            assert len(bytes.fromhex(digest)) * 2 == lengths[algorithm]
    else:
        assert dataset.made_from in ("nothing", "train", "outliers")


def test_light_to_import() -> None:
    """What plans and serves imports neither Pillow nor an HTTP client nor TensorFlow."""
    program = (
        "import sys, tasks.datasets.fetch, tasks.datasets.arrays, tasks.datasets.pixels; "
        "print(sorted({'PIL', 'httpx', 'tensorflow', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
