"""Opens datasets and releases by name, for notebooks and benchmarks; without Prefect.

    from tasks.opening import open_dataset, open_release

Roots are those of the environment and the working directory, as for a delivery.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from settings.errors import WrongInput
from settings.model import Description
from settings.places import read_places
from tasks.datasets.arrays import Split, load
from tasks.datasets.catalogue import CATALOGUE, find
from tasks.datasets.fetch import description_of, local_inputs
from tasks.datasets.own import own_set
from tasks.making.dataset import make_dataset
from tasks.release.reader import Release
from tasks.steps import dataset_key
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.store.lock import data_lock, run_lock
from tasks.workplace import Workplace, open_workplace


def open_dataset(name: str, split: str = "test", shape: tuple[int, ...] | None = None) -> Split:
    """Give a split of a dataset, mapped into memory; fetched first where no delivery has done so.

    The fetching waits until no delivery runs; what is there is read at once. `images` are the rows, (N, ...),
    `labels` uint8 (N,) or None. Pictures of one's own set are brought to `shape`. Raises WrongInput for a
    name that no set has and for a set that is made from another one, Unreachable where no source serves it.
    """
    place = open_workplace(read_places(os.environ, Path.cwd()), "mnist")
    local, how = inputs_of(place, name, shape)
    if name in CATALOGUE and find(name).made_from in ("train", "outliers"):
        raise WrongInput(f"{name} is made from another dataset in a delivery; open that one")
    made = place.store.find(f"dataset/{name}", dataset_key(name, local, None, how))
    if made is None:
        with (
            run_lock(place.store.models_root, what=f"opening {name}", should_stop=should_stop),
            data_lock(place.store.data_root, should_stop=should_stop),
        ):
            made = store_dataset(place, name, local, None, how)
    return load(place.store.folder(made), split)


def open_release(name: str = "mnist", version: int = 0) -> Release:
    """Give a version of a model, 0: the one that is in production.

    Raises WrongInput where there is no such version, or none in production.
    """
    registry = open_workplace(read_places(os.environ, Path.cwd()), name).registry
    if not version and not (served := registry.history.served()):
        raise WrongInput(f"no version of {name} was promoted yet: deliver one, or name a version")
    return Release(registry.folder(version or served[-1]))


def inputs_of(
    place: Workplace, name: str, shape: tuple[int, ...] | None, rows: Description | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Give the digests of what a dataset is made of on this machine, and how it is made, for its key.

    `shape` is the one that pictures of one's own are brought to, where they have another; `rows` are those
    that a set is made like which is made from nothing.
    """
    if (own := own_set(place.store.data_root, name)) is not None:
        own.described(shape)
        return {"content": own.digest}, {} if shape in (None, own.shape) else {"shape": list(shape or ())}
    dataset = find(name)
    local = local_inputs(name, place.store.dataset_home(name), place.local_folders)
    if dataset.kind != "made" or dataset.made_from != "nothing":
        return local, {}
    like = rows or description_of(dataset)
    return local, {"rows": like.model_dump(mode="json", include={"shape", "dtype", "low", "high"})}


def store_dataset(
    place: Workplace, name: str, local: Mapping[str, str], base: Artifact | None, how: Mapping[str, Any]
) -> Artifact:
    """Fetch, decode or make a dataset into the store; `local` are the digests of what it is made of."""
    key = dataset_key(name, local, base, how)
    work = partial(
        make_dataset,
        store=place.store,
        name=name,
        base=base,
        how=how,
        local_folders=place.local_folders,
        should_stop=should_stop,
    )
    return place.store.make(f"dataset/{name}", key, work)
