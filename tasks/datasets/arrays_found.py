"""A user's set that comes as arrays: an .npz file, a .npy file, or IDX files."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped
from tasks.datasets.arrays import ArrayWriter, Rows, images_file, labels_file
from tasks.datasets.containers import plain, readable
from tasks.datasets.errors import Refused
from tasks.datasets.found import Found
from tasks.datasets.idx import unpack_idx
from tasks.datasets.parting import MOST_CLASSES, Row, row_digest

NAMES = ("x_train", "y_train", "x_test", "y_test", "x", "y", "class_names")
IDX = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?")
_CHUNK = 1 << 20
_SPLIT_OF = {"x_train": "train", "x_test": "test", "x": "", "train": "train", "t10k": "test", "test": "test"}


@dataclass(frozen=True)
class Part:
    """The rows of a split, in whatever type they came, their labels, and what they are called in errors."""

    split: str
    rows: NDArray[Any]
    labels: NDArray[Any] | None
    called: str


class Arrays:
    """Rows that are arrays already; kept as such, uint8 as they are and everything else as float32."""

    kind = "arrays"

    def __init__(self, parts: Sequence[Part], class_names: Sequence[str] | None, shown: str) -> None:
        self._parts = parts
        self._names = class_names
        self._shown = shown
        self._dtype: type[np.generic] = np.uint8

    def read(self, should_stop: Callable[[], bool]) -> Found:
        """Look at every row; raises Refused for what cannot be rows and labels of one set."""
        first = self._parts[0]
        for part in self._parts:
            self._check(part, first)
        if first.rows.dtype != np.uint8:
            self._dtype = np.float32
        labels = self._labels()
        found = Found(shape=first.rows.shape[1:], dtype=np.dtype(self._dtype).name, keeps_order=True)
        names = self._class_names(labels)
        found.classes = {part.split: [*names] for part in self._parts}
        low, high, place = np.inf, -np.inf, 0
        for part, numbers in zip(self._parts, labels, strict=True):
            for index in range(len(part.rows)):
                if index % 1_000 == 0 and should_stop():
                    raise Stopped(f"stopped while reading {self._shown}")
                row = self._row(part, index)
                if self._dtype is np.float32:
                    low, high = min(low, float(row.min())), max(high, float(row.max()))
                label = names[int(numbers[index])] if numbers is not None else ""
                found.rows.append(Row(part.split, label, row_digest(row), place))
                place += 1
        if self._dtype is np.float32:
            found.low, found.high = low, high
            if first.rows.dtype != np.float32:
                found.remarks.append(f"{first.rows.dtype} is kept as float32")
        return found

    def write(self, rows: Sequence[Row], classes: Sequence[str], target: Path) -> None:
        """Keep the arrays of each split."""
        number = {label: index for index, label in enumerate(classes)}
        starts = np.cumsum([0, *(len(part.rows) for part in self._parts)])
        for split in dict.fromkeys(row.split for row in rows):
            chosen = [row for row in rows if row.split == split]
            item = self._parts[0].rows.shape[1:]
            with ArrayWriter(target / images_file(split), item, self._dtype) as writer:
                for row in chosen:
                    part = int(np.searchsorted(starts, row.place, side="right")) - 1
                    writer.append(self._row(self._parts[part], row.place - int(starts[part])))
            if classes:
                with ArrayWriter(target / labels_file(split), ()) as writer:
                    writer.append(np.array([number[row.label] for row in chosen], np.uint8))

    def without_labels(self) -> Arrays:
        """Take all rows for outliers."""
        parts = [Part("test", part.rows, None, part.called) for part in self._parts]
        return Arrays(parts, None, self._shown)

    def _row(self, part: Part, index: int) -> Rows:
        row: Rows = np.asarray(part.rows[index]).astype(self._dtype)
        if self._dtype is np.float32 and not np.isfinite(row).all():
            raise Refused(f"{self._shown}: {part.called}[{index}] has a value that is not finite")
        return row

    def _check(self, part: Part, first: Part) -> None:
        rows = part.rows
        called = f"{self._shown}: {part.called}"
        if rows.dtype.kind not in "uifb":
            raise Refused(f"{called} is {rows.dtype}; rows are numbers")
        if rows.ndim < 2 or 0 in rows.shape[1:]:
            raise Refused(f"{called} is {rows.shape}; rows are (N, ...)")
        if not len(rows):
            raise Refused(f"{called} holds no row")
        if (rows.shape[1:], rows.dtype) != (first.rows.shape[1:], first.rows.dtype):
            raise Refused(
                f"{called} is {rows.dtype} {rows.shape}, {first.called} is {first.rows.dtype} "
                f"{first.rows.shape}: the rows of a set are alike"
            )
        if part.labels is not None and len(part.labels) != len(rows):
            raise Refused(f"{called} holds {len(rows):,} rows and {len(part.labels):,} labels")
        if (part.labels is None) != (first.labels is None):
            raise Refused(f"{called} and {first.called}: both have labels, or none has")

    def _labels(self) -> list[NDArray[Any] | None]:
        """The labels of each part as numbers; text is numbered in the order of the names."""
        given = [part.labels for part in self._parts if part.labels is not None]
        if not given:
            return [None for _ in self._parts]
        flat = []
        for part, labels in zip(self._parts, given, strict=True):
            each = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
            if each.ndim != 1 or each.dtype.kind not in "uibU":
                raise Refused(
                    f"{self._shown}: the labels of {part.called} are {labels.dtype} {labels.shape}; they are "
                    "whole numbers or text, one a row"
                )
            flat.append(each)
        if all(each.dtype.kind == "U" for each in flat):
            names, numbers = np.unique(np.concatenate(flat), return_inverse=True)
            self._names = [str(name) for name in names]
            return list(np.split(numbers, np.cumsum([len(each) for each in flat])[:-1]))
        for part, each in zip(self._parts, flat, strict=True):
            if each.dtype.kind == "U" or int(each.min()) < 0:
                raise Refused(f"{self._shown}: the labels of {part.called} are not numbers from 0 up alone")
        return list(flat)

    def _class_names(self, labels: Sequence[NDArray[Any] | None]) -> list[str]:
        known = [each for each in labels if each is not None]
        if not known:
            return []
        count = 1 + max(int(each.max()) for each in known)
        if count > MOST_CLASSES:
            raise Refused(
                f"{self._shown}: holds the label {count - 1:,}; {MOST_CLASSES} classes are the most"
            )
        if self._names is None:
            return [str(number) for number in range(count)]
        if len({*self._names}) != len(self._names) or len(self._names) < count:
            raise Refused(f"{self._shown}: {len(self._names)} class names for {count} classes, each once")
        return [*self._names]


def open_npz(path: Path, work: Path, mapping: Mapping[str, str], shown: str) -> Arrays:
    """Open the arrays of an .npz file, unpacked into `work`, so that none has to be in memory whole."""
    if unknown := mapping.keys() - {*NAMES}:
        raise Refused(f"--arrays names {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            opened = {}
            for name in NAMES:
                if (info := inside.get(mapping.get(name, name))) is None:
                    if name in mapping:
                        raise Refused(f"{shown}: has no array {mapping[name]!r}; it has {', '.join(inside)}")
                    continue
                if info.file_size > shutil.disk_usage(work).free:
                    raise Refused(
                        f"{shown}: {name} has {info.file_size:,} bytes, more than the disk has free"
                    )
                with archive.open(info) as packed, (work / f"{name}.npy").open("wb") as file:
                    shutil.copyfileobj(packed, file, _CHUNK)
                opened[name] = open_npy(work / f"{name}.npy", f"{shown}: {name}")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Refused(f"{shown}: not a readable .npz file ({error})") from error
    names = opened.pop("class_names", None)
    parts = [
        Part(_SPLIT_OF[name], opened[name], opened.get(f"y{name[1:]}"), mapping.get(name, name))
        for name in ("x_train", "x_test", "x")
        if name in opened
    ]
    if not parts:
        raise Refused(
            f"{shown}: has no x_train, x_test or x but {', '.join(inside) or 'nothing'}: "
            "--arrays x_train=NAME,y_train=NAME says which is which"
        )
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise Refused(f"{shown}: class_names is {names.dtype} {names.shape}; it is text, one a class")
    return Arrays(as_one_set(parts, shown), None if names is None else [str(name) for name in names], shown)


def open_npy(path: Path, shown: str) -> NDArray[Any]:
    """Map an array; a pickle is never loaded."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise Refused(f"{shown}: not a readable array ({error})") from error
    return array


def open_idx(files: Sequence[Path], work: Path, shown: str, should_stop: Callable[[], bool]) -> Arrays:
    """Open IDX files of images and labels, gzipped or not, by their names; a single one may have any name."""
    opened: dict[tuple[str, str], NDArray[Any]] = {}
    for path in files:
        match = IDX.fullmatch(path.name)
        key = (_SPLIT_OF[match[1]], match[2]) if match else ("test", "images")
        if key in opened:
            raise Refused(f"{shown}: has {key[1]} of {key[0]} twice, {path.name} for one")
        target = work / f"{key[0]}-{key[1]}.npy"
        with path.open("rb") as stream, readable(str(path)):
            unpack_idx(plain(stream), target, str(path), should_stop)
        opened[key] = open_npy(target, str(path))
    parts = [
        Part(split, opened[split, "images"], opened.get((split, "labels")), f"{split} images")
        for split in ("train", "test")
        if (split, "images") in opened
    ]
    if not parts:
        raise Refused(f"{shown}: has labels and no images")
    return Arrays(as_one_set(parts, shown), None, shown)


def as_one_set(parts: Sequence[Part], shown: str) -> list[Part]:
    """Say what parts that are not both splits are: rows still to be parted, or outliers."""
    splits = {part.split for part in parts}
    if splits == {"train", "test"}:
        return [*parts]
    if len(parts) > 1:
        raise Refused(f"{shown}: has x beside x_train or x_test; it is either")
    (part,) = parts
    if part.labels is None or part.split == "test":
        return [Part("test", part.rows, None, part.called)]
    return [Part("", part.rows, part.labels, part.called)]
