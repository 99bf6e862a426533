"""Sweeping: what killed runs left half-written goes, and so do checkpoints that nobody came back for."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tasks.store.files import this_host, writer_of
from tasks.store.store import Store

logger = logging.getLogger(__name__)

CHECKPOINT_DAYS = 7
FOREIGN_DAYS = 1  # a writer on another host cannot be asked whether it lives: its files go after a day


def sweep(store: Store) -> list[Path]:
    """Remove orphaned temporary files and folders, and old checkpoints; give what was removed.

    Called by the holder of the run's lock.
    """
    removed = [path for path in unfinished(store) if orphaned(path)]
    old = time.time() - CHECKPOINT_DAYS * 86_400
    checkpoints = store.models_root / "checkpoints"
    if checkpoints.is_dir():
        removed += [path for path in checkpoints.iterdir() if newest_change(path) < old]
    for path in removed:
        logger.info("removed %s, left by a run that was killed or given up", path)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return removed


def unfinished(store: Store) -> Iterator[Path]:
    """Give every path that is still marked as being written."""
    roots = {store.data_root, store.models_root, *store.dataset_homes.values()}
    for root in sorted(roots):
        for folder, names, files in os.walk(root):
            # Others' files with a like name stay: the roots may be folders that the user shares with them.
            yield from (Path(folder, name) for name in [*names, *files] if writer_of(name))
            names[:] = [name for name in names if not writer_of(name)]


def orphaned(path: Path) -> bool:
    """Tell whether the writer of an unfinished path, whose host and pid are in its name, is gone."""
    writer = writer_of(path.name)
    if writer is None:
        return False
    host, pid = writer
    if host == this_host() and not Path("/proc", str(pid)).exists():
        return True
    return path.exists() and newest_change(path) < time.time() - FOREIGN_DAYS * 86_400


def newest_change(path: Path) -> float:
    """Give the time of the last change in a file or folder, in seconds since the epoch; 0 when it is gone."""
    try:
        inside = [entry.stat().st_mtime for entry in path.iterdir()] if path.is_dir() else []
        return max([path.stat().st_mtime, *inside])
    except FileNotFoundError:
        return 0.0
