"""Named arrays as files, never half-written, with equal bytes for equal arrays."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.store.files import write_bytes

logger = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]

_FILE = "checkpoint.npz"


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes an .npz; its entries carry no time of their writing, so its bytes depend on the arrays alone."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> Arrays:
    """The arrays of an .npz."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def save_checkpoint(folder: Path, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Keeps the state of a training in its folder, over the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / _FILE, state)


def load_checkpoint(folder: Path, expected: Mapping[str, npt.NDArray[Any]]) -> Arrays | None:
    """The state that was kept, if there is one with the names, shapes, types and texts of `expected`."""
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        state = read_arrays(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("The checkpoint %s cannot be read (%s): starting from the first step", path, error)
        return None
    for name, text in expected.items():
        if text.dtype.kind == "U" and name in state and state[name] != text:
            logger.warning(
                "The checkpoint %s is of %s %s, not %s: starting from the first step",
                path,
                name,
                state[name],
                text,
            )
            return None
    if {name: (array.shape, array.dtype) for name, array in state.items()} != {
        name: (array.shape, array.dtype) for name, array in expected.items()
    }:
        logger.warning("The checkpoint %s is of another training: starting from the first step", path)
        return None
    return state
