"""Opens datasets and releases by name, for notebooks and benchmarks; without Prefect.

    from tasks.opening import open_dataset, open_release

Roots are those of the environment and the working directory, as for a delivery.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from settings.errors import WrongInput
from settings.places import read_places
from tasks.datasets.arrays import Split, load
from tasks.datasets.catalogue import find
from tasks.datasets.fetch import local_inputs
from tasks.making.dataset import make_dataset
from tasks.release.reader import Release
from tasks.steps import dataset_key
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.store.lock import data_lock, run_lock
from tasks.workplace import Workplace, open_workplace


def open_dataset(name: str, split: str = "test") -> Split:
    """Give a split of a dataset, mapped into memory; fetched first where no delivery has done so.

    The fetching waits until no delivery runs; what is there is read at once. `images` are uint8
    (N, 28, 28), `labels` uint8 (N,) or None. Raises WrongInput for a name that the catalogue lacks and for a
    set that is made from another one, Unreachable where no source serves it.
    """
    if find(name).made_from in ("train", "outliers"):
        raise WrongInput(f"{name} is made from another dataset in a delivery; open that one")
    place = open_workplace(read_places(os.environ, Path.cwd()), "mnist")
    local = local_inputs(name, place.store.dataset_home(name), place.local_folders)
    made = place.store.find(f"dataset/{name}", dataset_key(name, local, None))
    if made is None:
        with (
            run_lock(place.store.models_root, what=f"opening {name}", should_stop=should_stop),
            data_lock(place.store.data_root, should_stop=should_stop),
        ):
            made = store_dataset(place, name, local, None)
    return load(place.store.folder(made), split)


def open_release(name: str = "mnist", version: int = 0) -> Release:
    """Give a version of a model, 0: the one that is in production.

    Raises WrongInput where there is no such version, or none in production.
    """
    registry = open_workplace(read_places(os.environ, Path.cwd()), name).registry
    if not version and not (served := registry.history.served()):
        raise WrongInput(f"no version of {name} was promoted yet: deliver one, or name a version")
    return Release(registry.folder(version or served[-1]))


def store_dataset(place: Workplace, name: str, local: Mapping[str, str], base: Artifact | None) -> Artifact:
    """Fetch or make a dataset into the store; `local` are the digests of its local files."""
    key = dataset_key(name, local, base)
    work = partial(
        make_dataset,
        store=place.store,
        name=name,
        base=base,
        local_folders=place.local_folders,
        should_stop=should_stop,
    )
    return place.store.make(f"dataset/{name}", key, work)
