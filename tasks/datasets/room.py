"""How many bytes on disk the sets of a delivery take, before any is there."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.leaving_out import LEFT_OUT
from tasks.datasets.own import own_set
from tasks.datasets.roles import rows_of

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings


def expected_bytes(name: str, data: DataSettings, data_root: Path) -> int:
    """Bytes that a set needs at most: what is downloaded for it and what is decoded or made."""
    counts, like = _rows(name, data, data_root)
    rows = rows_of(like, data, data_root)
    item_bytes = 1 if rows.dtype == "uint8" else 4
    download_bytes = CATALOGUE[name].download_bytes if name in CATALOGUE else 0
    return download_bytes + counts * (prod(rows.shape) * item_bytes + 1)  # and its label


def _rows(name: str, data: DataSettings, data_root: Path) -> tuple[int, str]:
    """The number of rows of a set, and the name of the set whose rows they are like."""
    if (own := own_set(data_root, name)) is not None:
        return sum(own.rows.values()), name
    if name == LEFT_OUT:  # with what remains of the training set
        return _rows(data.train, data, data_root)
    dataset = CATALOGUE[name]
    if dataset.kind != "made":
        return sum(dataset.images.values()), name
    if dataset.made_from == "nothing":
        return sum(dataset.images.values()), data.train
    base = data.train
    if dataset.made_from == "outliers":
        base = next((each for each in data.judged_on if _stands(each)), data.train)
    own = own_set(data_root, base)
    return (own.rows if own is not None else CATALOGUE[base].images)["test"], data.train


def _stands(name: str) -> bool:
    return name != LEFT_OUT and (name not in CATALOGUE or CATALOGUE[name].made_from in (None, "nothing"))
