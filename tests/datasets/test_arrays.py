from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from settings.errors import WrongInput
from tasks.datasets.arrays import ArrayWriter, load

IMAGES = np.arange(3 * 784, dtype=np.int64).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([4, 0, 9], np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "test-images.npy", IMAGES)
    np.save(tmp_path / "test-labels.npy", LABELS)
    return tmp_path


def test_images_and_labels(folder: Path) -> None:
    """A split is its images and its labels, mapped and not read."""
    split = load(folder, "test")
    assert isinstance(split.images, np.memmap)
    np.testing.assert_array_equal(split.images, IMAGES)
    assert split.labels is not None
    np.testing.assert_array_equal(split.labels, LABELS)


def test_limit(folder: Path) -> None:
    """A limit gives the first so many; one beyond the end gives all."""
    split = load(folder, "test", limit=2)
    assert split.labels is not None
    assert (len(split.images), split.labels.tolist()) == (2, [4, 0])
    assert len(load(folder, "test", limit=99).images) == 3


def test_no_labels(folder: Path) -> None:
    """A set without labels has none."""
    (folder / "test-labels.npy").unlink()
    assert load(folder, "test").labels is None


def test_no_images(folder: Path) -> None:
    """A split that is not there is named."""
    with pytest.raises(WrongInput, match=r"train-images\.npy: there is no such file"):
        load(folder, "train")


@pytest.mark.parametrize(
    "wrong",
    [IMAGES.astype(np.float64), IMAGES.astype(np.int8), IMAGES[:, 0, 0], IMAGES[:, :0]],
    ids=["double", "signed", "numbers", "empty"],
)
def test_other_arrays(folder: Path, wrong: np.ndarray) -> None:
    """Anything but rows of bytes or floats is refused with what it is."""
    np.save(folder / "test-images.npy", wrong)
    with pytest.raises(WrongInput, match=rf"test-images\.npy: {wrong.dtype} \(3.*\), expected rows of uint8"):
        load(folder, "test")


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), LABELS[:, None]], ids=["integers", "two axes"])
def test_other_labels(folder: Path, labels: np.ndarray) -> None:
    """Labels are bytes, one each."""
    np.save(folder / "test-labels.npy", labels)
    with pytest.raises(WrongInput, match=r"test-labels\.npy: .*, expected uint8 \(N,\)"):
        load(folder, "test")


@pytest.mark.parametrize("shape", [(13,), (9, 7), (6, 8, 3), (2, 3, 4, 5)])
def test_rows_of_any_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A row is a vector, a picture with or without channels, or more."""
    rows = np.random.default_rng(1).random((4, *shape), np.float32)
    with ArrayWriter(tmp_path / "test-images.npy", shape, np.float32) as writer:
        writer.append(rows[:1])
        writer.append(rows[1:].tobytes())
    np.testing.assert_array_equal(load(tmp_path, "test").images, rows)


def test_other_count_of_labels(folder: Path) -> None:
    """As many labels as rows, or an error."""
    np.save(folder / "test-labels.npy", LABELS[:2])
    with pytest.raises(WrongInput, match="2 labels for 3 rows"):
        load(folder, "test")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00\x10\x00{'descr'", b"\x80\x04K\x01."])
def test_unreadable_file(folder: Path, content: bytes) -> None:
    """A broken file is named; a pickle is never loaded."""
    (folder / "test-images.npy").write_bytes(content)
    with pytest.raises(WrongInput, match=r"test-images\.npy: not a readable \.npy file"):
        load(folder, "test")


def test_writer_writes_what_numpy_writes(tmp_path: Path) -> None:
    """Appending piece by piece gives the very bytes of numpy.save, whatever the count."""
    for count in (0, 1, 12_345):
        whole = np.arange(count, dtype=np.uint32).astype(np.uint8)
        with ArrayWriter(tmp_path / "a.npy", ()) as writer:
            writer.append(whole[:7])
            writer.append(whole[7:].tobytes())
        expected = io.BytesIO()
        np.save(expected, whole)
        assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


def test_writer_takes_whole_items_only(tmp_path: Path) -> None:
    """Half an image is an error, and no file is left."""
    with pytest.raises(ValueError, match="783 bytes"), ArrayWriter(tmp_path / "a.npy", (28, 28)) as writer:
        writer.append(bytes(783))
    assert not (tmp_path / "a.npy").exists()


def test_writer_takes_its_own_type_only(tmp_path: Path) -> None:
    """Floats are not written as the bytes that they consist of."""
    with (
        pytest.raises(ValueError, match="items of float32, expected uint8"),
        ArrayWriter(tmp_path / "a.npy", (4,)) as writer,
    ):
        writer.append(np.zeros((2, 4), np.float32))
