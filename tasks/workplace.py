"""The workplace of a run: the store, the registry and the backend that its places name."""

from __future__ import annotations

import errno
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from settings.errors import Surroundings
from settings.hyperparameters import NAME, RESERVED
from settings.places import Places, Runner
from tasks.channels.backend import Backend
from tasks.channels.cluster import Cluster
from tasks.channels.external import ExternalBackend
from tasks.channels.kubernetes import KubernetesBackend
from tasks.channels.local import LocalBackend
from tasks.datasets.catalogue import CATALOGUE
from tasks.release.history import account
from tasks.release.registry import Registry
from tasks.store.store import Store


@dataclass(frozen=True)
class Workplace:
    """Where a run reads, writes and serves; made from the environment of the process that runs."""

    store: Store
    registry: Registry
    backend: Backend
    runner: Runner
    local_folders: tuple[Path, ...]  # searched for published files before any source is asked

    @property
    def who(self) -> str:
        """Who does what this run does, for the history and the receipts."""
        return self.registry.who or account()

    def version_in_production(self) -> int:
        """Give the version that production serves, or is meant to, or was when it was stopped; 0 for none.

        The channel counts before the history, which does not know of a run that was killed after its rollout,
        nor of a version that somebody put back by hand.
        """
        serving = self.backend.current("production")
        if serving is not None and serving.version:
            return serving.version
        if serving is not None and serving.wanted is not None:
            return serving.wanted.version
        if serving is None and (kept := self.backend.kept("production")) is not None:
            return kept.version
        served = self.registry.history.served()
        return served[-1] if served else 0

    def version_to_leave(self) -> int:
        """Give the version that a rollback leads away from; 0 for none.

        It is the one in production, or that for which the version before is served, since it is damaged.
        """
        serving = self.backend.current("production")
        if serving is not None and serving.fallback and serving.wanted is not None:
            return serving.wanted.version
        return self.version_in_production()


def make_roots(places: Places) -> None:
    """Make both roots; Surroundings names the variable of one in which this user cannot make files.

    Datasets that are there already need only be read.
    """
    for variable, root in (("MODELS_ROOT", places.models_root), ("DATA_ROOT", places.data_root)):
        try:
            root.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=root).close()
        except OSError as error:
            read_only = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if variable == "DATA_ROOT" and read_only and root.is_dir():
                continue
            raise Surroundings(
                f"{variable} is {root}, where no file can be made ({error.strerror}): "
                f"set {variable} to a folder that this user can write"
            ) from error


def open_workplace(places: Places, name: str, who: str = "") -> Workplace:
    """Give the workplace for the model `name`; nothing is made or started yet.

    `who` is the one who acts, where that is another than the account of this process.
    """
    registry = open_registry(places, name, who)
    store = Store(
        data_root=places.data_root,
        models_root=places.models_root,
        dataset_homes={dataset: places.dataset_home(dataset) for dataset in CATALOGUE},
    )
    folders = (places.dataset_folder,) if places.dataset_folder is not None else ()
    return Workplace(store, registry, open_backend(places, registry), places.runner, folders)


def other_registries(places: Places, name: str) -> list[Registry]:
    """Give the registries of the other models below the same root, whose artifacts the store holds too."""
    return [open_registry(places, other) for other in sorted({*models_of(places), "mnist"} - {name})]


def models_of(places: Places) -> list[str]:
    """Give the names of the models below the models' root: they have versions, a history or channels."""
    root = places.models_root
    found = {path.name for each in ("candidates", "channels") for path in folders(root / each)}
    found |= {path.name for path in folders(root) if is_home(path)}
    found = {name for name in found if re.fullmatch(NAME, name) and name not in RESERVED}
    return sorted(found | ({"mnist"} if is_home(places.release_home("mnist")) else set()))


def is_home(folder: Path) -> bool:
    """Tell whether a folder holds the promoted versions of a model, or its history."""
    return (folder / "history.jsonl").exists() or any(path.name.isdigit() for path in folders(folder))


def folders(folder: Path) -> list[Path]:
    """Give the folders in a folder; none where it is none."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def open_registry(places: Places, name: str, who: str = "") -> Registry:
    """Give the versions of the model `name`."""
    return Registry(
        name=name,
        releases=places.release_home(name),
        candidates=places.models_root / "candidates" / name,
        receipts=places.models_root / "receipts" / name,
        who=who,
    )


def open_backend(places: Places, registry: Registry) -> Backend:
    """Give the backend of the channels; Surroundings where it does not work from here."""
    if places.backend == "kubernetes":
        return KubernetesBackend(
            Cluster(places.namespace),
            registry.name,
            registry.releases,
            registry.candidates,
            places.rollout_seconds,
            places.serving_token_file,
            registry.lock,
        )
    if places.backend == "external":
        return ExternalBackend(
            models_root=places.models_root,
            name=registry.name,
            releases=registry.releases,
            candidates=registry.candidates,
            urls={"stage": places.stage_url, "production": places.production_url},
            token_file=places.serving_token_file,
            lock=registry.lock,
        )
    return LocalBackend(
        models_root=places.models_root,
        name=registry.name,
        releases=registry.releases,
        candidates=registry.candidates,
        host=places.host,
        ports=places.given_ports,
        token_file=places.serving_token_file,
        lock=registry.lock,
    )
