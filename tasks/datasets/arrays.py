"""Datasets as they are stored: .npy files, one for the rows and one for the labels of a split.

A row is an array of any shape, the same for all of a dataset: a picture, (28, 28) or (32, 32, 3), is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from settings.errors import WrongInput

ROWS = ("uint8", "float32")  # the types that rows can have

Rows = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """The rows of a split, uint8 or float32 (N, ...), and its labels, uint8 (N,), where it has some."""

    images: Rows
    labels: NDArray[np.uint8] | None

    def known_labels(self) -> NDArray[np.uint8]:
        """The labels; WrongInput where the dataset has none."""
        if self.labels is None:
            raise WrongInput(
                "the dataset has no labels, and a classifier needs them: choose another data.train"
            )
        return self.labels

    def take(self, which: slice) -> Split:
        """Some of the rows, with their labels."""
        return Split(self.images[which], None if self.labels is None else self.labels[which])


def images_file(split: str) -> str:
    """The name of the file with the rows of a split."""
    return f"{split}-images.npy"


def labels_file(split: str) -> str:
    """The name of the file with the labels of a split."""
    return f"{split}-labels.npy"


def load(folder: Path, split: str, limit: int = 0) -> Split:
    """A split of a stored dataset, mapped into memory and not read; `limit` gives only the first so many.

    Raises WrongInput where a file is missing or is not an array of that kind.
    """
    images = _open(folder / images_file(split))
    if images.dtype.name not in ROWS or images.ndim < 2 or 0 in images.shape[1:]:
        raise WrongInput(
            f"{folder / images_file(split)}: {images.dtype} {images.shape}, expected rows of uint8"
        )
    labels = None
    if (folder / labels_file(split)).exists():
        labels = _open(folder / labels_file(split))
        if labels.dtype != np.uint8 or labels.ndim != 1:
            told = f"{labels.dtype} {labels.shape}, expected uint8 (N,)"
            raise WrongInput(f"{folder / labels_file(split)}: {told}")
        if len(labels) != len(images):
            raise WrongInput(
                f"{folder / labels_file(split)}: {len(labels):,} labels for {len(images):,} rows; "
                "delete the folder and run again"
            )
    stop = limit or len(images)
    return Split(images[:stop], None if labels is None else labels[:stop])


def _open(path: Path) -> Rows:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise WrongInput(f"{path}: there is no such file; fetch the dataset again") from None
    except (ValueError, EOFError, OSError) as error:
        raise WrongInput(f"{path}: not a readable .npy file ({error}); fetch the dataset again") from error
    return array  # type: ignore[no-any-return]


class ArrayWriter:
    """A .npy file whose length is known only at its end: items are appended, the header comes last.

    The file is what numpy.save would write. Leaving the block by an error removes it.
    """

    def __init__(self, path: Path, item: tuple[int, ...], dtype: DTypeLike = np.uint8) -> None:
        self.path = path
        self.count = 0
        self._item = item
        self._dtype = np.dtype(dtype)
        self._item_bytes = int(np.prod(item, dtype=np.int64)) * self._dtype.itemsize
        self._file = path.open("wb")
        self._write_header()

    def append(self, items: bytes | Rows) -> None:
        """Append whole items; an array has to be of the file's type."""
        if not isinstance(items, bytes) and items.dtype != self._dtype:
            raise ValueError(f"{self.path.name}: items of {items.dtype}, expected {self._dtype}")
        added, rest = divmod(len(items) if isinstance(items, bytes) else items.nbytes, self._item_bytes)
        if rest:
            raise ValueError(f"{self.path.name}: {rest} bytes are no whole item of {self._item_bytes}")
        self._file.write(items if isinstance(items, bytes) else np.ascontiguousarray(items).data)
        self.count += added

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis can grow: its length is the same for every count.
        shape = (self.count, *self._item)
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, header)

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._file.seek(0)
            self._write_header()
            self._file.close()
        else:
            self._file.close()
            self.path.unlink(missing_ok=True)
