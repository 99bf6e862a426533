"""What is looked at before anything slow starts: names, ports, the disk, and what killed runs left behind."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from settings.delivery import Delivery
from settings.errors import Surroundings, WrongInput
from settings.hyperparameters import DataSettings, ServingSettings
from tasks.channels.backend import Backend
from tasks.datasets.roles import check_roles
from tasks.datasets.room import expected_bytes
from tasks.prune import freeable
from tasks.release.registry import Registry
from tasks.store.artifacts import read_record
from tasks.store.store import Store
from tasks.store.sweep import sweep
from tasks.workplace import Workplace

# Scores, the verdict, the release's graphs and the engine's records of one delivery. Also asked for where all
# of it is kept, since only the keys, which follow from the data, would tell: a disk without that much room is
# too full for the next delivery in any case. What weights take is known when a network is built (room.py).
MODELS_BYTES = 120_000_000


def prepare(place: Workplace, delivery: Delivery, others: Iterable[Registry] = ()) -> None:
    """Refuse what cannot end well, and sweep; raises WrongInput or Surroundings with the remedy.

    The `others` are the models whose artifacts are in the same store.
    """
    check_roles(delivery.data, {}, place.store.data_root)
    check_runtime(place.backend, delivery.serving)
    sweep(place.store)
    mend_releases(place)
    for channel in ("stage", "production"):
        place.backend.check(channel)
    check_disk(place.store, delivery.data, lambda: freeable(place, others))


def mend_releases(place: Workplace) -> None:
    """Move what a killed run left among the releases back among the candidates."""
    serving = place.backend.current("production")
    if serving is not None and serving.wanted is None:
        return  # its document cannot be read: what is wanted there is not known
    with place.registry.lock():
        wanted = (place.backend.document("production"), place.backend.kept("production"))
        served = {serving.version if serving else 0, *(each.version for each in wanted if each)}
        place.registry.take_leftovers_back(served)


def check_runtime(backend: Backend, serving: ServingSettings) -> None:
    """Refuse a runtime that the channels' servers do not have."""
    if serving.runtime not in backend.runtimes:
        raise WrongInput(
            f"serving.runtime={serving.runtime} is not in the image of the model servers, "
            f"which have {' and '.join(backend.runtimes)}"
        )


def check_disk(store: Store, data: DataSettings, freeable: Callable[[], int] = lambda: 0) -> None:
    """Compare what is to come with what is free, disk by disk; Surroundings tells both in bytes.

    And how many bytes are `freeable` below the models' root.
    """
    needs: dict[int, int] = defaultdict(int)
    folders: dict[int, Path] = {}

    def need(folder: Path, size: int) -> None:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        device = existing.stat().st_dev
        needs[device] += size
        folders.setdefault(device, existing)

    for name in dict.fromkeys((data.train, *data.judged_on)):
        home = store.dataset_home(name)
        if not has_dataset(home, name):
            need(home, expected_bytes(name, data, store.data_root))
    need(store.models_root, MODELS_BYTES)
    for device, size in needs.items():
        free = shutil.disk_usage(folders[device]).free
        if free < size:
            prunable = freeable()
            prune = f" (slipway prune --keep 1 would free {prunable:,} bytes)" if prunable else ""
            raise Surroundings(
                f"the disk of {folders[device]} is too full for what is to come: {size:,} bytes are needed, "
                f"{free:,} are free; make room there{prune}, or give it a larger volume or another folder "
                "(DATA_ROOT, MODELS_ROOT)"
            )


def has_dataset(home: Path, name: str) -> bool:
    """Tell whether a dataset was decoded into its home before."""
    folders = [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
    return any((record := read_record(path)) and record.kind == f"dataset/{name}" for path in folders)
