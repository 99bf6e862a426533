"""What the rows of a stored dataset are: as its record tells, or as the arrays themselves do."""

from __future__ import annotations

from pathlib import Path

from settings.model import Description
from tasks.datasets.arrays import images_file, load
from tasks.store.artifacts import read_record

SPLITS = ("train", "test")


def describe(folder: Path) -> Description:
    """Give the description of a decoded dataset; of one without a record, the classes are counted."""
    record = read_record(folder)
    noted = record.notes.get("description") if record is not None else None
    return described_by_arrays(folder) if noted is None else Description.model_validate(noted)


def described_by_arrays(folder: Path) -> Description:
    """Give what the arrays tell: the shape of a row, the range of its values, and how many classes."""
    splits = [load(folder, split) for split in SPLITS if (folder / images_file(split)).exists()]
    rows = (splits or [load(folder, "test")])[0].images
    labels = [split.labels for split in splits if split.labels is not None and len(split.labels)]
    count = 1 + max(int(each.max()) for each in labels) if labels else 0
    low, high = 0.0, 255.0
    if rows.dtype.name != "uint8":
        filled = [split.images for split in splits if len(split.images)]
        low = min((float(each.min()) for each in filled), default=0.0)
        high = max((float(each.max()) for each in filled), default=0.0)
    return Description(
        shape=rows.shape[1:],
        classes=tuple(map(str, range(count))),
        dtype=rows.dtype.name,
        low=low,
        high=high,
    )
