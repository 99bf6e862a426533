"""Which dataset can be trained on, be outliers, or be made besides; and whether their rows go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from settings.errors import WrongInput
from settings.model import Description
from tasks.datasets.catalogue import CATALOGUE, Dataset, find
from tasks.datasets.fetch import description_of
from tasks.datasets.leaving_out import LEFT_OUT, check_left_out
from tasks.datasets.made import unfit
from tasks.datasets.own import OwnSet, own_set, own_sets, times

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings


def is_trainable(dataset: Dataset | OwnSet) -> bool:
    """Tell whether it has labelled rows to train on and to test with."""
    if isinstance(dataset, OwnSet):
        return bool(dataset.classes) and {"train", "test"} <= dataset.counts.keys()
    labelled = {file.split for file in dataset.files if file.content == "labels"}
    return {"train", "test"} <= labelled


def is_outlier(dataset: Dataset | OwnSet) -> bool:
    """Tell whether it stands alone: the made ones that need another set are measured besides."""
    return isinstance(dataset, OwnSet) or dataset.made_from in (None, "nothing")


def is_made(dataset: Dataset | OwnSet) -> bool:
    """Tell whether it is made by arithmetic."""
    return isinstance(dataset, Dataset) and dataset.kind == "made"


ROLES = {"train": is_trainable, "outliers": is_outlier, "made": is_made}


def check_roles(data: DataSettings, origins: Mapping[str, str], data_root: Path) -> None:
    """Raise WrongInput with a line for each name that cannot have its role, or whose rows do not fit.

    `origins` says where a setting comes from that is not a default, by its dotted name. Sets of one's own are
    looked for below `data_root`; nothing is read but what is known of them.
    """
    problems = list(_roles(data, origins, data_root)) or list(_rows(data, origins, data_root))
    if problems:
        raise WrongInput("\n".join(problems))


def dataset_names(data_root: Path) -> list[str]:
    """Give the names of all sets that can have been decoded below a root."""
    return [*CATALOGUE, LEFT_OUT, *(own.name for own in own_sets(data_root))]


def fitting(data: DataSettings, shape: tuple[int, ...]) -> list[str]:
    """Give the made sets that are measured besides: of the default, those that the rows have a form for."""
    return [name for name in data.made if data.names_made or not unfit(name, shape)]


def rows_of(name: str, data: DataSettings, data_root: Path) -> Description:
    """Give what the rows of a set will be in a delivery; WrongInput where they cannot be so."""
    own = own_set(data_root, name)
    if own is not None:
        return own.described(data.row_shape)
    described = description_of(find(name))
    if data.row_shape not in (None, described.shape):
        raise WrongInput(
            f"data.shape={data.shape} is not the shape of {name}, whose rows stay {times(described.shape)}: "
            "only sets of your own are brought to another"
        )
    return described


def _roles(data: DataSettings, origins: Mapping[str, str], data_root: Path) -> Iterator[str]:
    names = {"train": (data.train,), "outliers": data.outliers, "made": data.made}
    for role, fits in ROLES.items():
        setting = f"data.{role}"
        origin = origins.get(setting, setting)
        own = own_sets(data_root) if any(name not in CATALOGUE for name in names[role]) else ()
        there: dict[str, Dataset | OwnSet] = {**CATALOGUE, **{each.name: each for each in own}}
        possible = [name for name, dataset in there.items() if fits(dataset)]
        for name in names[role]:
            found = there.get(name)
            if role == "train" and isinstance(found, OwnSet) and not is_trainable(found):
                yield f"{origin} names {name!r}, which has no classes: it can only be among data.outliers"
            elif name not in possible:
                hint = "" if name in there or role == "made" else "; slipway data add brings one of your own"
                yield f"{origin} names {name!r}, not one of {', '.join(possible)}{hint}"


def _rows(data: DataSettings, origins: Mapping[str, str], data_root: Path) -> Iterator[str]:
    try:
        trained = rows_of(data.train, data, data_root)
        if data.leave_out:
            check_left_out(data.train, trained.classes, data.leave_out)
    except WrongInput as error:
        yield str(error)
        return
    for name in data.outliers:
        if name in CATALOGUE and is_made(CATALOGUE[name]):
            continue  # made with rows like those that are trained on
        origin = origins.get("data.outliers", "data.outliers")
        try:
            rows = rows_of(name, data, data_root)
        except WrongInput as error:
            yield str(error)
            continue
        if (rows.shape, rows.dtype) != (trained.shape, trained.dtype):
            yield (
                f"{origin} names {name!r} with rows of {times(rows.shape)} ({rows.dtype}), and those of "
                f"{data.train} are {times(trained.shape)} ({trained.dtype}): {_remedy(name, rows, trained)}"
            )
    for name in fitting(data, trained.shape):
        if reason := unfit(name, trained.shape):
            yield f"{origins.get('data.made', 'data.made')} names {name!r}: {reason}"


def _remedy(name: str, rows: Description, trained: Description) -> str:
    """Say what brings an outlier set and a training set of differing rows together."""
    shape = times(rows.shape if name in CATALOGUE else trained.shape)
    if rows.dtype != trained.dtype or len(trained.shape) not in (2, 3):
        return "name another outlier set"
    return f"bring both to one shape, as with --data.shape {shape}, or name another outlier set"
