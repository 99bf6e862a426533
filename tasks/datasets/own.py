"""Sets of a user, by name: what is known of each stands in set.json in its folder, below the data's root.

Its pictures, or its arrays, are in a folder beside that is named after their digest. Nothing of a set changes
once it is there: other content is another folder, and set.json names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from settings.errors import Surroundings, WrongInput
from settings.model import Description
from tasks.datasets.catalogue import CATALOGUE
from tasks.store.files import read_json

SET = "set.json"
PICTURES = "pictures.zip"
CONTENT = "content-"  # how the name of the folder begins
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
# Beside the catalogue's: folders and names that a delivery uses itself.
RESERVED = ("left-out", "downloads", "lock", "notmnist", "test", "train")

Counts = Mapping[str, Mapping[str, int]]  # by split, then by class


class LeftAside(BaseModel):
    """A file that could not be read, and why."""

    model_config = ConfigDict(frozen=True)

    file: str
    reason: str


class OwnSet(BaseModel):
    """What is known of a set: kept as set.json, and all that a delivery looks at before it starts.

    `digest` is that of the decoded rows with their classes and splits, whatever files they came in; `files`
    are the SHA-256 of what is kept. `shape` is None where pictures differ in size; `differs` says which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["pictures", "arrays"]
    digest: str
    files: dict[str, str]
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]  # of a set without labels, the class is ""
    shape: tuple[int, ...] | None
    differs: str = ""
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0
    parted: dict[str, int | float] | None = None  # test_share and seed, where this project parted it
    unreadable: tuple[LeftAside, ...] = ()
    remarks: tuple[str, ...] = ()
    source: str
    added_at: str

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows by split, of train first."""
        splits = sorted(self.counts, key=lambda split: split != "train")
        return {split: sum(self.counts[split].values()) for split in splits}

    @property
    def are_pictures(self) -> bool:
        """Whether its rows can be brought to another shape: grey or colour, a byte per value."""
        if self.kind == "pictures" or self.shape is None:
            return True
        return self.dtype == "uint8" and (
            len(self.shape) == 2 or (len(self.shape) == 3 and self.shape[2] in (1, 3))
        )

    def described(self, shape: tuple[int, ...] | None) -> Description:
        """Give what its rows are, brought to a shape; WrongInput where they cannot be."""
        has = self.shape
        if shape is not None and shape != has:
            if not self.are_pictures:
                raise WrongInput(
                    f"the rows of {self.name} are {self.dtype} of {times(has or ())}, no pictures that could "
                    f"be brought to data.shape={times(shape)}"
                )
            has = shape
        if has is None:
            raise WrongInput(
                f"the pictures of {self.name} differ in size ({self.differs}): name the one that all are "
                "brought to, as in --data.shape 32x32 or 32x32x3"
            )
        return Description(shape=has, classes=self.classes, dtype=self.dtype, low=self.low, high=self.high)

    def content(self, home: Path) -> Path:
        """Give the folder of what is kept."""
        return home / content_folder(self.digest)


def times(shape: tuple[int, ...]) -> str:
    """Write a shape as the settings do: 32x32x3."""
    return "x".join(map(str, shape))


def content_folder(digest: str) -> str:
    """Give the name of the folder of what is kept of a set."""
    return f"{CONTENT}{digest[:20]}"


def own_sets(data_root: Path) -> Iterator[OwnSet]:
    """Give the sets below a root, in the order of their names."""
    for path in sorted(data_root.glob(f"*/{SET}")):
        if (found := own_set(data_root, path.parent.name)) is not None:
            yield found


def own_set(data_root: Path, name: str) -> OwnSet | None:
    """Give the set of a name; None where there is none."""
    path = data_root / name / SET
    if name in CATALOGUE or not NAME.fullmatch(name) or not path.is_file():
        return None
    try:
        return OwnSet.model_validate(read_json(path))
    except ValidationError as error:
        raise Surroundings(
            f"{path} is damaged ({error.error_count()} of its values): add the set again with --replace"
        ) from error


def known(data_root: Path, name: str) -> OwnSet:
    """Give the set of a name; WrongInput names those that there are."""
    found = own_set(data_root, name)
    if found is None:
        names = ", ".join(each.name for each in own_sets(data_root)) or "none"
        raise WrongInput(f"there is no set {name!r} below {data_root}; of your own there are: {names}")
    return found


def check_name(name: str) -> None:
    """Refuse a name that no set of a user can have."""
    if not NAME.fullmatch(name):
        raise WrongInput(
            f"{name!r} is no name of a set: small letters, digits and hyphens, 40 at most, a letter first"
        )
    if name in CATALOGUE:
        raise WrongInput(f"{name} is a dataset of the catalogue: name yours otherwise")
    if name in RESERVED:
        raise WrongInput(f"{name} is one of {', '.join(RESERVED)}, which are taken: name your set otherwise")
