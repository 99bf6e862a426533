"""Brings sets of a user under their names: for `slipway data add`, and those that a model's module names."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from settings.errors import WrongInput
from settings.model import Model, SetFrom
from tasks.datasets.adding import Added, Options, clear, publish_set, read_set, workroom
from tasks.datasets.errors import Unavailable, Unreachable
from tasks.datasets.own import check_name, own_set
from tasks.stopping import should_stop
from tasks.store.artifacts import combined_digest
from tasks.store.files import sha256_of
from tasks.store.functions import reach
from tasks.store.lock import data_lock

logger = logging.getLogger(__name__)


def bring(
    name: str, path: str, data_root: Path, options: Options, *, sha256: str = "", replace: bool = False
) -> tuple[Added, bool]:
    """Read what is at a path or an address, and put it under the name; give it, and whether that was new.

    Raises WrongInput for what cannot be a set, Unreachable where the address does not answer.
    """
    check_name(name)
    is_address = re.match(r"https?://", path, re.IGNORECASE) is not None
    if is_address and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise WrongInput(f"{path}: --sha256 has to say the SHA-256 of the file at an address")
    if sha256 and not is_address:
        raise WrongInput(f"--sha256 is of a file at an address, and {path} is none")
    work = workroom(data_root, name)
    try:
        given = downloaded(path, work, sha256.lower()) if is_address else Path(path).expanduser()
        return _publish(name, given, work, data_root, options, source=path, replace=replace)
    finally:
        clear(work)


def downloaded(url: str, work: Path, sha256: str) -> Path:
    """Bring the file at an address into a folder; Unreachable where it cannot be had."""
    from tasks.datasets.download import download

    folder = work / "download"
    folder.mkdir()
    path = folder / (Path(urlsplit(url).path).name or "file")
    try:
        download(url, path, most_bytes=shutil.disk_usage(work).free, should_stop=should_stop)
    except Unavailable as error:
        raise Unreachable(f"{url}: {error}") from error
    if (is_it := sha256_of(path)) != sha256:
        raise WrongInput(f"{url}: its SHA-256 is {is_it}, not {sha256}")
    return path


def bring_sets(model: Model, wanted: Collection[str], data_root: Path) -> None:
    """Bring the sets of a model's module that are wanted and not there; those that a function gives also
    where its code is another by now.

    What is at a path is read once: `slipway data add --replace` brings what changed there.
    """
    for name, origin in model.sets.items():
        if name not in wanted:
            continue
        check_name(name)
        known = own_set(data_root, name)
        if origin.arrays is not None:
            source = source_of(origin)
            if known is None or known.source != source:
                _bring_arrays(name, origin, source, data_root)
        elif known is None:
            path = origin.path
            if "://" not in path and model.source is not None:
                path = str(model.source.parent / Path(path).expanduser())
            options = Options(test_share=origin.test_share, outliers=origin.outliers)
            bring(name, path, data_root, options, sha256=origin.sha256)
            logger.info("%s is brought from %s", name, path)


def source_of(origin: SetFrom) -> str:
    """Give what tells the function of a set, and its code, from another."""
    assert origin.arrays is not None  # noqa: S101 - the caller's
    digest = combined_digest(reach([origin.arrays]).digests)
    return f"{origin.arrays.__module__}.{origin.arrays.__qualname__} ({digest[:12]})"


def _bring_arrays(name: str, origin: SetFrom, source: str, data_root: Path) -> None:
    assert origin.arrays is not None  # noqa: S101 - the caller's
    try:
        arrays = {key: np.asarray(values) for key, values in origin.arrays().items()}
    except Exception as error:
        raise WrongInput(f"the set {name} of the model: {type(error).__name__}: {error}") from error
    work = workroom(data_root, name)
    try:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            path = Path(folder) / "arrays.npz"
            np.savez(path, allow_pickle=False, **arrays)
            options = Options(test_share=origin.test_share, outliers=origin.outliers)
            _publish(name, path, work, data_root, options, source=source, replace=True)
    finally:
        clear(work)
    logger.info("%s is brought from %s", name, source)


def _publish(
    name: str, given: Path, work: Path, data_root: Path, options: Options, *, source: str, replace: bool
) -> tuple[Added, bool]:
    added = read_set(name, given, work, options=options, source=source, should_stop=should_stop)
    with data_lock(data_root, should_stop=should_stop):
        return added, publish_set(added, data_root, replace=replace)
