"""The rows of a user's set before they are written: of which class and split each is, and in which order.

A row is known by the digest of its content. The order of the rows, and which of them test, follow from these
digests alone: the same content gives the same set, in whatever files and order it came.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.errors import Refused

MOST_CLASSES = 256  # a label is a byte


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its split, which is empty until it is parted, its class, and where it was found."""

    split: str
    label: str
    digest: bytes
    place: int


def row_digest(values: NDArray[Any]) -> bytes:
    """Give the digest of a row: of its type, its shape and its values."""
    head = f"{values.dtype.name} {values.shape}\0".encode()
    return hashlib.sha256(head + np.ascontiguousarray(values).tobytes()).digest()


def part(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """Part rows into train and test, class by class; equal rows stay together.

    Of each class the share that is asked for tests, at least one row, and at least one trains. Raises Refused
    where a class has one row alone, or none but the same.
    """
    by_class: dict[str, list[tuple[bytes, Row]]] = defaultdict(list)
    for row in rows:
        by_class[row.label].append((hashlib.sha256(f"{seed}\0".encode() + row.digest).digest(), row))
    parted = []
    for label, drawn in sorted(by_class.items()):
        drawn.sort(key=lambda each: each[0])
        keys = [key for key, _ in drawn]
        wanted = max(1, round(share * len(keys)))
        ends = [
            end for end in range(1, len(keys)) if keys[end] != keys[end - 1]
        ]  # where no equal rows are parted
        if not ends:
            raise Refused(
                f"the class {label!r} has one row alone, or the same one again: it cannot be parted"
            )
        stop = min(ends, key=lambda end: (abs(end - wanted), end))
        parted += [replace(row, split="test" if at < stop else "train") for at, (_, row) in enumerate(drawn)]
    return parted


def arranged(rows: Sequence[Row], classes: Sequence[str]) -> list[Row]:
    """Give the rows in the order in which they are written: by split, then as their content has it."""
    number = {label: index for index, label in enumerate(classes)}
    return sorted(rows, key=lambda row: (row.split != "train", row.digest, number.get(row.label, 0)))


def set_digest(rows: Sequence[Row], classes: Sequence[str]) -> str:
    """Give the digest of a whole set: of its classes by number, and of each row with its class and split."""
    number = {label: index for index, label in enumerate(classes)}
    seen = hashlib.sha256("\0".join(classes).encode() + b"\n")
    for row in arranged(rows, classes):
        seen.update(f"{row.split} {number.get(row.label, -1)} ".encode() + row.digest)
    return seen.hexdigest()


def counted(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Give the number of rows by split and class."""
    counts = Counter((row.split, row.label) for row in rows)
    splits = sorted({row.split for row in rows}, key=lambda split: split != "train")
    return {split: {label: counts[split, label] for label in classes or ("",)} for split in splits}


def check_classes(found: dict[str, list[str]], rows: Sequence[Row], shown: str) -> None:
    """Refuse classes that nothing can be learnt from; `found` are those of each split, also empty ones."""
    everywhere = {name for names in found.values() for name in names}
    for split, names in found.items():
        where = f"{shown}: {split}/" if split else f"{shown}:"
        if not names:
            raise Refused(f"{where} holds no folder of a class")
        if missing := sorted(everywhere - {*names}):
            raise Refused(f"{where} lacks classes of the other split: {', '.join(missing)}")
    if unprintable := sorted(name for name in everywhere if not (name.strip() and name.isprintable())):
        raise Refused(f"{shown}: {unprintable[0]!a} is no name of a class: it has to be text on one line")
    if len(everywhere) == 1:
        raise Refused(f"{shown}: holds one class alone, {min(everywhere)!r}; a classifier needs two or more")
    if len(everywhere) > MOST_CLASSES:
        raise Refused(f"{shown}: holds {len(everywhere):,} classes; {MOST_CLASSES} are the most")
    there = {(row.split, row.label) for row in rows}
    for split, names in found.items():
        for name in names:
            if (split, name) not in there:
                raise Refused(f"{shown}: the class {name!r} is empty{f' in {split}/' if split else ''}")
