"""Pruning: versions that nobody will go back to, and what the store holds for them alone.

What stays is marked, and the rest swept. A version that goes is written down in the history, which itself
only grows; receipts and downloads stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from settings.errors import SlipwayError
from tasks.channels.backend import Channel
from tasks.datasets.roles import dataset_names
from tasks.release.champions import needed
from tasks.release.registry import Registry
from tasks.store.files import remove_folder
from tasks.store.lock import data_lock, is_read_only, run_lock
from tasks.store.reach import Stored, everything, marked, size_of
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)

CHANNELS: tuple[Channel, ...] = ("stage", "production")
RECORDS = "records"  # below the models' root: what Prefect writes of results, which nobody reads


@dataclass(frozen=True)
class Leftovers:
    """What may go: versions by number, artifacts, and Prefect's records of results."""

    versions: dict[int, Path]
    artifacts: list[Stored]
    records: list[Path]
    bytes: int


@dataclass(frozen=True)
class Served:
    """The versions that the channels have to do with, and the one in production (0: none)."""

    versions: frozenset[int]
    production: int


def prune(
    place: Workplace,
    keep: int,
    *,
    others: Iterable[Registry],
    dry_run: bool = False,
    tell: Callable[[str, Leftovers], None] = lambda name, left: None,
) -> Leftovers:
    """Remove what is not needed, and give what that was; a dry run only looks for it.

    The newest `keep` of the promoted versions and of the candidates stay, and of the `others`, whose models
    share the store, all. `tell` is called with the model's name and what goes, before it goes. Raises
    Surroundings at once where a run holds the lock, and names it; who can only read looks all the same.
    """
    only_looks = dry_run and is_read_only(place.store.models_root)
    with (
        nullcontext() if only_looks else run_lock(place.store.models_root, what="a prune", wait_seconds=0.0),
        data_lock(place.store.data_root, should_stop=lambda: False, wait_seconds=0.0),
    ):
        served = in_channels(place)  # asked before the lock, under which nobody is waited for
        if dry_run:
            left = look_for(place, keep, others, served)
            tell(place.registry.name, left)
            return left
        with place.registry.lock():
            left = look_for(place, keep, others, served)
            tell(place.registry.name, left)
            for version, folder in left.versions.items():
                note(place.registry, version, keep)
                remove_folder(folder)
        for each in left.artifacts:
            remove_folder(each.folder)
        for path in left.records:
            path.unlink(missing_ok=True)
        return left


def prune_after(place: Workplace, keep: int, others: Iterable[Registry]) -> None:
    """Prune at the end of a delivery, which does not fail by it; 0 keeps all."""
    if not keep:
        return
    try:
        left = prune(place, keep, others=others)
    except (SlipwayError, OSError) as error:
        logger.warning("nothing is pruned: %s", error)
        return
    if left.bytes:
        logger.info(
            "pruned: versions %s, %s bytes", ", ".join(map(str, left.versions)) or "none", f"{left.bytes:,}"
        )


def freeable(place: Workplace, others: Iterable[Registry]) -> int:
    """Give how many bytes a prune that keeps as little as it can would free."""
    return look_for(place, 1, others, in_channels(place)).bytes


def note(registry: Registry, version: int, keep: int) -> None:
    """Write down that a version goes: before it does, so that whoever misses it can be told."""
    exported = registry.history.last("exported", version)
    digest = exported.digest if exported is not None else ""
    registry.history.append("pruned", version, digest, f"the newest {keep} are kept")


def look_for(place: Workplace, keep: int, others: Iterable[Registry], served: Served) -> Leftovers:
    """Give what may go while the channels serve what they do."""
    stays = kept_versions(place.registry, keep, served)
    there = place.registry.versions()
    releases = {digest for version in stays if (digest := digest_of(place.registry, version))}
    for registry in others:
        releases |= {digest for version in registry.versions() if (digest := digest_of(registry, version))}
    stored = everything(place.store, dataset_names(place.store.data_root))
    kept = {each.folder for each in marked(stored, releases)}
    versions = {version: there[version] for version in sorted(there.keys() - stays)}
    artifacts = [each for each in stored if each.folder not in kept]
    forgotten = files_in(place.store.models_root / RECORDS)
    folders = [*versions.values(), *(each.folder for each in artifacts)]
    return Leftovers(versions, artifacts, forgotten, sum(map(size_of, [*folders, *forgotten])))


def files_in(folder: Path) -> list[Path]:
    """Give the files of a folder, which need not be there."""
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def digest_of(registry: Registry, version: int) -> str:
    """Give the digest of a version as it was exported; empty where the history does not know it."""
    exported = registry.history.last("exported", version)
    return exported.digest if exported is not None else ""


def kept_versions(registry: Registry, keep: int, served: Served) -> set[int]:
    """Give the versions that stay: the newest, what the channels are meant to serve, and the ways back.

    So do those that the next candidate is compared with.
    """
    history, there = registry.history, registry.versions().keys()
    promoted = sorted(version for version in there if registry.is_promoted(version))
    candidates = sorted(there - set(promoted))
    before = [version for version in history.served() if version in there]
    stays = {*promoted[-keep:], *candidates[-keep:], *before[-2:], *served.versions, served.production}
    return (stays | needed(history.events(), served.production, there)) & there


def in_channels(place: Workplace) -> Served:
    """Give the versions that the channels serve, are meant to serve, and name as their ways back."""
    found: set[int] = set()
    for channel in CHANNELS:
        if (serving := place.backend.current(channel)) is not None:
            found.add(serving.version)
        if (document := place.backend.document(channel)) is not None:
            found |= {document.version, document.previous}
    return Served(frozenset(found), place.version_in_production())
