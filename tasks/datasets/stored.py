"""From what is kept of a user's set to its arrays, brought to one shape where that is asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from settings.errors import Stopped, WrongInput
from tasks.datasets.arrays import ArrayWriter, Rows, images_file, labels_file, load
from tasks.datasets.own import PICTURES, OwnSet
from tasks.datasets.picture import fit, read_picture
from tasks.store.files import sha256_of


def decode_set(
    own: OwnSet, home: Path, folder: Path, shape: tuple[int, ...] | None, should_stop: Callable[[], bool]
) -> dict[str, Any]:
    """Write the arrays of a set into `folder`, its pictures brought to `shape`, and give the notes on it.

    Raises WrongInput where its pictures differ in size and no shape is named, and where what is kept is not
    what was added.
    """
    described = own.described(shape)
    content = own.content(home)
    for name, digest in own.files.items():
        if not (content / name).is_file() or sha256_of(content / name) != digest:
            raise WrongInput(
                f"{content / name} is not what was added as {own.name}: add the set again with --replace"
            )
    rows = pictures_of(own, content) if own.kind == "pictures" else arrays_of(own, content)
    with ExitStack() as stack:
        images, labels = {}, {}
        for split in own.rows:
            path = folder / images_file(split)
            images[split] = stack.enter_context(ArrayWriter(path, described.shape, described.dtype))
            if own.classes:
                labels[split] = stack.enter_context(ArrayWriter(folder / labels_file(split), ()))
        for split, label, row in rows:
            if should_stop():
                raise Stopped(f"stopped while decoding {own.name}")
            images[split].append(row if row.shape == described.shape else fit(row, described.shape))
            if own.classes:
                labels[split].append(bytes([label]))
    return {
        "name": own.name,
        "title": own.name,
        "source": own.source,
        "served": {},
        "tried": [],
        "quarantined": [each.model_dump() for each in own.unreadable],
        "remarks": list(own.remarks),
        "images": own.rows,
        "description": described.model_dump(mode="json"),
    }


def pictures_of(own: OwnSet, content: Path) -> Iterator[tuple[str, int, Rows]]:
    """Give each picture with its split and label, one after the other."""
    number = {label: index for index, label in enumerate(own.classes)}
    with zipfile.ZipFile(content / PICTURES) as archive:
        for info in archive.infolist():
            split, label, _ = info.filename.split("/", 2)
            pixels, _ = read_picture(archive.read(info))
            yield split, number.get(label, 0), pixels


def arrays_of(own: OwnSet, content: Path) -> Iterator[tuple[str, int, Rows]]:
    """Give each row with its split and label, one after the other."""
    for split in own.rows:
        kept = load(content, split)
        for index in range(len(kept.images)):
            label = 0 if kept.labels is None else int(kept.labels[index])
            yield split, label, np.asarray(kept.images[index])
