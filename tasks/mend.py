"""Mends production's release where it is damaged, as after a power cut, from what the store holds."""

from __future__ import annotations

import logging
from pathlib import Path

from tasks.channels.rollout import bring_back
from tasks.stopping import should_stop
from tasks.store.artifacts import combined_digest, file_digests
from tasks.store.reach import records_in
from tasks.store.store import Store
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


def mend_production(place: Workplace) -> None:
    """Restore the release that production is meant to serve where it is damaged, and let it be served."""
    document = place.backend.document("production")
    if document is None or not restore_release(place, document.version):
        return
    bring_back(
        place.backend,
        should_stop=should_stop,
        restored=True,
    )


def restore_release(place: Workplace, version: int) -> bool:
    """Restore a version where its files are not as they were exported; give whether that was done.

    They come from the store, where they are whole. Where they are not, that is said: the version before goes
    on being served until the next delivery makes the release anew.
    """
    registry = place.registry
    exported = registry.history.last("exported", version)
    if exported is None or version not in registry.versions() or registry.digest(version) == exported.digest:
        return False
    whole = find_release(place.store, exported.digest)
    if whole is None:
        logger.error(
            "the release of version %s is damaged, and the store does not have it whole: a delivery makes it "
            "anew, slipway rollback goes back to the version before",
            version,
        )
        return False
    with registry.lock():
        registry.restore(version, whole)
    logger.warning("the release of version %s was damaged: it is restored from the store", version)
    return True


def find_release(store: Store, digest: str) -> Path | None:
    """Give the folder of the store that holds the release of that digest, whole; None where none does."""
    for folder, record in records_in(store.home("release")):
        if record.digest == digest == combined_digest(file_digests(folder)):
            return folder
    return None
