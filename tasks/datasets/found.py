"""What was found at the place of a user's set, whatever form it has there: rows, and how they are kept."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from settings.errors import Stopped
from tasks.datasets.errors import Refused
from tasks.datasets.folders import Listed, is_text
from tasks.datasets.own import PICTURES, LeftAside
from tasks.datasets.parting import Row, row_digest
from tasks.datasets.picture import MOST_BYTES, Pixels, read_picture
from tasks.datasets.pictures import Unreadable


@dataclass
class Found:
    """The rows of a set, each read once, and what is to be told of them.

    `classes` are the names by split, also of empty ones, in their order where they have one; none where the
    rows have no labels. Where the split is "", the set is still to be parted.
    """

    rows: list[Row] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    differs: str = ""
    dtype: str = "uint8"
    keeps_order: bool = False  # the classes are numbered already
    low: float = 0.0
    high: float = 255.0
    unreadable: list[LeftAside] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Content(Protocol):
    """A set where the user has it."""

    def read(self, should_stop: Callable[[], bool]) -> Found:
        """Read every row once."""

    def write(self, rows: Sequence[Row], classes: Sequence[str], target: Path) -> None:
        """Keep the rows in their order in the folder `target`, which is there."""


class Pictures:
    """PNG and JPEG files in folders; kept as they are, in one archive."""

    kind = "pictures"

    def __init__(self, listed: Listed, shown: str, unreadable: float) -> None:
        self._listed = listed
        self._shown = shown
        self._most_unreadable = unreadable

    def read(self, should_stop: Callable[[], bool]) -> Found:
        """Decode the pictures one by one; raises Refused where too many cannot be read."""
        found = Found(classes=self._listed.classes)
        done: Counter[str] = Counter()
        first: tuple[str, tuple[int, ...]] | None = None
        colours = 0
        for place, picture in enumerate(self._listed.pictures):
            if should_stop():
                raise Stopped(f"stopped while reading {self._shown}")
            try:
                pixels, changes = self._pixels(picture.path)
            except Unreadable as reason:
                found.unreadable.append(LeftAside(file=picture.shown, reason=str(reason)))
                continue
            done.update(changes)
            colours += pixels.ndim == 3
            size = pixels.shape[:2]
            first = first or (picture.shown, size)
            if size != first[1] and not found.differs:
                found.differs = f"{picture.shown} is {by(size)}, {first[0]} is {by(first[1])}"
            found.rows.append(Row(picture.split, picture.label, row_digest(pixels), place))
        self._check_unreadable(found)
        if first is not None and not found.differs:
            found.shape = (*first[1], 3) if colours else first[1]
        found.remarks += [f"{count:,} {what}" for what, count in sorted(done.items())]
        if 0 < colours < len(found.rows):
            found.remarks.append(f"{len(found.rows) - colours:,} grey beside colours: all are in colours")
        if self._listed.hidden:
            found.remarks.append(f"{self._listed.hidden:,} hidden files and folders are passed over")
        if strays := self._listed.strays:
            found.remarks.append(f"{len(strays):,} beside the classes are passed over, as {strays[0]}")
        return found

    def _pixels(self, path: Path) -> tuple[Pixels, tuple[str, ...]]:
        if not is_text(path.name):
            raise Unreadable("its name is no text (UTF-8)")
        try:
            if (size := path.stat().st_size) > MOST_BYTES:
                raise Unreadable(f"{size:,} bytes are too many for a picture")
            if not path.is_file():
                raise Unreadable("neither a file nor a folder")
            return read_picture(path.read_bytes())
        except FileNotFoundError:
            raise Unreadable("a link to nothing") from None
        except PermissionError:
            raise Unreadable("closed to this user") from None

    def _check_unreadable(self, found: Found) -> None:
        count, total = len(found.unreadable), len(self._listed.pictures)
        if count > self._most_unreadable * total:
            first = found.unreadable[0]
            raise Refused(
                f"{self._shown}: {count:,} of {total:,} files cannot be read, more than --unreadable "
                f"{self._most_unreadable:g} allows; the first is {first.file}: {first.reason}"
            )

    def write(self, rows: Sequence[Row], classes: Sequence[str], target: Path) -> None:
        """Keep the files in one archive, without compressing them again."""
        with zipfile.ZipFile(target / PICTURES, "w", zipfile.ZIP_STORED) as archive:
            for index, row in enumerate(rows):
                path = self._listed.pictures[row.place].path
                info = zipfile.ZipInfo(f"{row.split}/{row.label or '-'}/{index}-{path.name}")
                archive.writestr(info, path.read_bytes())


def by(size: tuple[int, ...]) -> str:
    """Write a size as height x width."""
    return " x ".join(map(str, size))
