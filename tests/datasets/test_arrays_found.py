"""Sets that come as arrays: .npz, .npy and IDX files."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from settings.errors import WrongInput
from tasks.datasets.adding import Options, publish_set, read_set
from tasks.datasets.arrays import load
from tasks.datasets.errors import Refused
from tasks.datasets.own import OwnSet, own_set
from tasks.datasets.stored import decode_set

RANDOM = np.random.default_rng(12)
X = RANDOM.integers(0, 256, (30, 6, 5), np.uint8)
Y = np.arange(30) % 3
SPLITS = {"x_train": X[:20], "y_train": Y[:20], "x_test": X[20:], "y_test": Y[20:]}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., OwnSet]:
    """A function that adds what is at a path, or the arrays of an .npz file, below DATA, as the set `own`."""

    def add(given: Path | dict[str, Any], **how: Any) -> OwnSet:
        if isinstance(given, dict):
            np.savez(tmp_path / "set.npz", **given)
            given = tmp_path / "set.npz"
        work = tmp_path / "work"
        work.mkdir()
        try:
            added = read_set(
                "own", given, work, options=Options(**how), source="PATH", should_stop=lambda: False
            )
            publish_set(added, tmp_path / "DATA", replace=True)
        finally:
            shutil.rmtree(work)
        return added.described

    return add


def decoded(tmp_path: Path, shape: tuple[int, ...] | None = None) -> Path:
    """Give the arrays of the set `own`."""
    own = own_set(tmp_path / "DATA", "own")
    assert own is not None
    folder = tmp_path / "arrays"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    decode_set(own, tmp_path / "DATA" / "own", folder, shape, lambda: False)
    return folder


def content(folder: Path, split: str) -> list[tuple[int, bytes]]:
    kept = load(folder, split)
    return sorted(zip(kept.known_labels().tolist(), (row.tobytes() for row in kept.images), strict=True))


def expected(rows: np.ndarray, labels: np.ndarray) -> list[tuple[int, bytes]]:
    return sorted(zip(labels.tolist(), (row.tobytes() for row in rows), strict=True))


def test_npz(read: Any, tmp_path: Path) -> None:
    """Rows and labels of both splits, with names for the classes."""
    described = read(SPLITS | {"class_names": np.array(["zebra", "ape", "lion"])})
    assert described.classes == ("zebra", "ape", "lion")
    assert described.counts["test"] == {"zebra": 3, "ape": 3, "lion": 4}
    folder = decoded(tmp_path)
    assert content(folder, "train") == expected(X[:20], Y[:20])
    assert content(folder, "test") == expected(X[20:], Y[20:])


def test_pictures_and_arrays_of_the_same_content_are_the_same_set(read: Any, tmp_path: Path) -> None:
    """The digest says nothing of the container."""
    from_arrays = read(SPLITS)
    arrays = {path.name: path.read_bytes() for path in decoded(tmp_path).iterdir()}
    for split, start, stop in (("train", 0, 20), ("test", 20, 30)):
        for index in range(start, stop):
            folder = tmp_path / "pictures" / split / str(Y[index])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(X[index]).save(folder / f"{index}.png")
    from_pictures = read(tmp_path / "pictures")
    assert from_pictures.digest == from_arrays.digest
    assert {path.name: path.read_bytes() for path in decoded(tmp_path).iterdir()} == arrays


def test_parted_arrays(read: Any) -> None:
    """x and y without splits are parted by a share; so is x_train alone."""
    described = read({"x": X, "y": Y}, test_share=0.3)
    assert described.rows == {"train": 21, "test": 9}
    assert read({"x_train": X, "y_train": Y}, test_share=0.3).digest == described.digest
    with pytest.raises(Refused, match="PATH: has classes, and neither train nor test"):
        read({"x": X, "y": Y})


def test_arrays_of_other_names(read: Any) -> None:
    """The mapping says which is which; a name that is not there is told with those that are."""
    given = {"images": X, "targets": Y[:, None]}
    described = read(given, arrays={"x": "images", "y": "targets"}, test_share=0.3)
    assert described.rows == {"train": 21, "test": 9}
    with pytest.raises(Refused, match="PATH: has no array 'pics'; it has images, targets"):
        read(given, arrays={"x": "pics"})
    with pytest.raises(Refused, match="--arrays names z; there are x_train, y_train"):
        read(given, arrays={"z": "images"})
    with pytest.raises(Refused, match=r"PATH: has no x_train, x_test or x but images, targets: --arrays"):
        read(given)


def test_labels_as_text(read: Any, tmp_path: Path) -> None:
    """They are the names of the classes, numbered in their order."""
    names = np.array(["lion", "ape", "zebra"])[Y]
    described = read(SPLITS | {"y_train": names[:20], "y_test": names[20:]})
    assert described.classes == ("ape", "lion", "zebra")
    assert content(decoded(tmp_path), "train") == expected(X[:20], np.array([1, 0, 2])[Y[:20]])


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.bool_, np.float32])
def test_numbers_that_are_no_bytes(read: Any, tmp_path: Path, dtype: Any) -> None:
    """They are kept as float32, with the range in which they are."""
    x = RANDOM.normal(0, 5, (30, 13)).astype(dtype)
    described = read(SPLITS | {"x_train": x[:20], "x_test": x[20:]})
    assert (described.shape, described.dtype) == ((13,), "float32")
    assert (described.low, described.high) == (float(np.float32(x.min())), float(np.float32(x.max())))
    kept = load(decoded(tmp_path), "train").images
    assert kept.dtype == np.float32
    assert sorted(kept.ravel().tolist()) == sorted(x[:20].astype(np.float32).ravel().tolist())


def test_arrays_brought_to_a_shape(read: Any, tmp_path: Path) -> None:
    """Bytes of two axes are pictures; other rows have no other shape."""
    read(SPLITS)
    assert load(decoded(tmp_path, (8, 8, 3)), "train").images.shape == (20, 8, 8, 3)
    read(SPLITS | {"x_train": X[:20].reshape(20, 30), "x_test": X[20:].reshape(10, 30)})
    with pytest.raises(WrongInput, match=r"the rows of own are uint8 of 30, no pictures"):
        decoded(tmp_path, (8, 8))


def test_outliers(read: Any, tmp_path: Path) -> None:
    """Without labels, or where they are not to count, all rows are outliers."""
    np.save(tmp_path / "rows.npy", X)
    first = read(tmp_path / "rows.npy")
    assert (first.classes, first.counts) == ((), {"test": {"": 30}})
    assert read({"x": X}).digest == first.digest
    assert read(SPLITS, outliers=True).digest == first.digest
    assert load(decoded(tmp_path), "test").labels is None


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another shape": ({"x_test": X[20:, :5]}, r"x_test is uint8 \(10, 5, 5\), x_train is uint8 \(20, 6, 5\)"),
    "another type": ({"x_test": X[20:] / 255}, r"x_test is float64 .* the rows of a set are alike"),
    "text": ({"x_train": np.full((20, 6, 5), "a")}, "x_train is <U1; rows are numbers"),
    "numbers alone": ({"x_train": X[:20, 0, 0]}, r"x_train is \(20,\); rows are \(N, ...\)"),
    "no value": ({"x_train": X[:20, :0]}, r"x_train is \(20, 0, 5\); rows are"),
    "fewer labels": ({"y_train": Y[:19]}, "x_train holds 20 rows and 19 labels"),
    "no labels": ({"y_test": None}, "both have labels, or none has"),
    "one-hot": (
        {"y_train": np.eye(3)[Y[:20]].astype(int)},
        r"int64 \(20, 3\); they are whole numbers or text",
    ),
    "fractions": ({"y_train": Y[:20] / 2}, "float64 .* whole numbers or text"),
    "negative": ({"y_train": Y[:20] - 1}, "not numbers from 0 up alone"),
    "too many": ({"y_train": Y[:20] + 255}, "holds the label 257; 256 classes are the most"),
    "a gap": ({"y_train": Y[:20] * 2}, "the class '1' is empty in train/"),
    "untested": ({"y_test": np.zeros(10, int)}, "the class '1' is empty in test/"),
    "names": ({"class_names": np.array(["a", "b"])}, "2 class names for 3 classes"),
    "names twice": ({"class_names": np.array(["a", "b", "a"])}, "3 class names for 3 classes, each once"),
    "numbers as names": ({"class_names": np.arange(3)}, r"class_names is int64 \(3,\); it is text"),
    "not a number": (
        {"x_train": np.full((20, 4), np.nan), "x_test": np.zeros((10, 4))},
        r"x_train\[0\] has a value that is not finite",
    ),
    "objects": ({"x_train": np.array([{}, {}], object)}, "x_train: not a readable array"),
    "no rows": ({"x_train": X[:0], "y_train": Y[:0]}, "x_train holds no row"),
    "three parts": ({"x": X}, "has x beside x_train or x_test"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arrays(read: Any, what: str) -> None:
    """What cannot be rows and labels of one set is one line that names the array."""
    changed, message = BAD[what]
    arrays = {name: array for name, array in (SPLITS | changed).items() if array is not None}
    with pytest.raises(Refused, match=f"^PATH: .*{message}"):
        read(arrays)


def test_a_broken_file(read: Any, tmp_path: Path) -> None:
    """It is named, whatever is wrong with it."""
    np.savez(tmp_path / "whole.npz", **SPLITS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    (tmp_path / "rows.npy").write_bytes(b"\x93NUMPY\x01\x00 and nothing")
    with pytest.raises(Refused, match=r"PATH: not a readable \.npz file"):
        read(tmp_path / "cut.npz")
    with pytest.raises(Refused, match="PATH: not a readable array"):
        read(tmp_path / "rows.npy")


def test_idx_files(read: Any, tmp_path: Path, idx: Callable[[np.ndarray], bytes]) -> None:
    """The four files of MNIST, of pictures of any size, packed or not: the same set as the arrays."""
    folder = tmp_path / "idx"
    folder.mkdir()
    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(idx(X[:20])),
        "train-labels-idx1-ubyte": idx(Y[:20].astype(np.uint8)),
        "t10k-images.idx3-ubyte": idx(X[20:]),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx(Y[20:].astype(np.uint8))),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    described = read(folder)
    assert described.digest == read(SPLITS).digest
    (tmp_path / "letters").write_bytes(files["t10k-images.idx3-ubyte"])
    assert read(tmp_path / "letters").counts == {"test": {"": 10}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: b"<htm" + raw[4:], "starts with 3c68746d; an IDX file of bytes starts with 00000801"),
        (lambda raw: raw[:2] + b"\x0d" + raw[3:], "starts with 00000d03"),
        (lambda raw: raw[:9], "ends within its header"),
        (lambda raw: raw[:-1], "ends before the 20 x 6 x 5 bytes"),
        (lambda raw: raw + b"\0", "holds more than the 20 x 6 x 5 bytes"),
        (lambda raw: raw[:4] + b"\xff" * 4 + raw[8:], "ends before the 4,294,967,295 x 6 x 5 bytes"),
    ],
)
def test_bad_idx_files(
    read: Any, tmp_path: Path, idx: Any, change: Callable[[bytes], bytes], message: str
) -> None:
    """A file that is not what its header says is named with what is wrong."""
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(change(idx(X[:20])))
    with pytest.raises(Refused, match=rf"train-images-idx3-ubyte: .*{message}"):
        read(path)
