"""Datasets as they are stored: uint8 .npy files, one for the images and one for the labels of a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from settings.errors import WrongInput

SIDE = 28


@dataclass(frozen=True)
class Split:
    """The images of a split, uint8 (N, 28, 28), and its labels, uint8 (N,), where it has some."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None

    def known_labels(self) -> NDArray[np.uint8]:
        """The labels; WrongInput where the dataset has none."""
        if self.labels is None:
            raise WrongInput(
                "the dataset has no labels, and a classifier needs them: choose another data.train"
            )
        return self.labels

    def take(self, which: slice) -> Split:
        """Some of the images, with their labels."""
        return Split(self.images[which], None if self.labels is None else self.labels[which])


def images_file(split: str) -> str:
    """The name of the file with the images of a split."""
    return f"{split}-images.npy"


def labels_file(split: str) -> str:
    """The name of the file with the labels of a split."""
    return f"{split}-labels.npy"


def load(folder: Path, split: str, limit: int = 0) -> Split:
    """A split of a stored dataset, mapped into memory and not read; `limit` gives only the first so many.

    Raises WrongInput where a file is missing or is not an array of that kind.
    """
    images = _open(folder / images_file(split), (SIDE, SIDE))
    labels = None
    if (folder / labels_file(split)).exists():
        labels = _open(folder / labels_file(split), ())
        if len(labels) != len(images):
            raise WrongInput(
                f"{folder / labels_file(split)}: {len(labels):,} labels for {len(images):,} images; "
                "delete the folder and run again"
            )
    stop = limit or len(images)
    return Split(images[:stop], None if labels is None else labels[:stop])


def _open(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise WrongInput(f"{path}: there is no such file; fetch the dataset again") from None
    except (ValueError, EOFError, OSError) as error:
        raise WrongInput(f"{path}: not a readable .npy file ({error}); fetch the dataset again") from error
    if array.dtype != np.uint8 or array.ndim != len(item) + 1 or array.shape[1:] != item:
        wanted = ", ".join(["N", *map(str, item)]) if item else "N,"
        raise WrongInput(f"{path}: {array.dtype} {array.shape}, expected uint8 ({wanted})")
    return array  # type: ignore[no-any-return]


class ArrayWriter:
    """A .npy file of uint8 whose length is known only at its end: items are appended, the header comes last.

    The file is what numpy.save would write. Leaving the block by an error removes it.
    """

    def __init__(self, path: Path, item: tuple[int, ...]) -> None:
        self.path = path
        self.count = 0
        self._item = item
        self._item_bytes = int(np.prod(item, dtype=np.int64))
        self._file = path.open("wb")
        self._write_header()

    def append(self, items: bytes | NDArray[np.uint8]) -> None:
        """Append whole items."""
        added, rest = divmod(len(items) if isinstance(items, bytes) else items.size, self._item_bytes)
        if rest:
            raise ValueError(f"{self.path.name}: {rest} bytes are no whole item of {self._item_bytes}")
        self._file.write(items if isinstance(items, bytes) else np.ascontiguousarray(items).data)
        self.count += added

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis can grow: its length is the same for every count.
        shape = (self.count, *self._item)
        npy.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})

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
