"""Loads a version: its folder, checked against its digests, behind its runtime, tried once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.release.contract import MANIFEST, Signature, Tensor
from tasks.release.reader import Release
from tasks.serving.runtime import Model, Outputs, Rows, Runtime

CLASS_IDS = "class_ids"  # the output that says which class it is
CLASS_NAMES = "class_names"  # the one beside it that names the class, where classes have names


class Unservable(Exception):  # noqa: N818
    """A version that cannot be served, with the reason."""


class Absent(Unservable):
    """A version that is not there, or not whole: on a network volume it may appear a moment later."""


@dataclass(frozen=True)
class Loaded:
    """A version that can answer."""

    version: int
    runtime: str
    digest: str  # of the manifest, and so of all its files
    signatures: Mapping[str, Signature]  # as they are answered: with the names of classes
    model: Model
    classes: NDArray[np.object_]  # the names of the classes by id; none where they have none
    false_positive_rate: float | None  # share of rows in distribution that the threshold may flag
    since: float  # seconds since 1970

    def run(self, signature: str, rows: Rows) -> Outputs:
        """Give the outputs of a signature by name, N each, for rows (N, …)."""
        outputs = self.model.run(signature, rows)
        if len(self.classes) and CLASS_IDS in outputs:
            return {**outputs, CLASS_NAMES: self.classes[outputs[CLASS_IDS]]}
        return outputs


_REMEDY = "deliver again or go back to another version"


def find_folder(version: int, roots: Sequence[Path]) -> Path:
    """Give the first folder that holds the version."""
    for root in roots:
        if (folder := root / str(version)).is_dir():
            return folder
    raise Absent(f"version {version} is not in {' or '.join(map(str, roots))}")


def digest_of(folder: Path) -> str:
    """Give the digest of a release's manifest, and so of all its files."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def load(version: int, folder: Path, runtime_name: str, runtime: Runtime) -> Loaded:
    """Give the version, checked, loaded and tried; raises WrongInput, OSError or Unservable."""
    if not (folder / MANIFEST).exists():
        raise Absent(f"{folder} is not a release: it has no {MANIFEST}")
    release = Release(folder)
    if missing := next((name for name in release.digests if not (folder / name).exists()), None):
        raise Absent(f"{folder / missing} is missing from its release; {_REMEDY}")
    release.verify()
    digest = digest_of(folder)
    signatures = release.signatures
    for name, signature in signatures.items():
        _check(name, signature, release.classes)
    model = runtime.load(folder)
    for name, signature in signatures.items():
        for count in (0, 1, 32):
            _try(model, name, signature, count)
    return Loaded(
        version,
        runtime_name,
        digest,
        {name: _served(signature, release.classes) for name, signature in signatures.items()},
        model,
        np.array(release.classes, dtype=object),
        release.false_positive_rate,
        time.time(),
    )


def _check(name: str, signature: Signature, classes: Sequence[str]) -> None:
    """Refuse a signature that cannot be asked in JSON, or whose classes are not as many as their names."""
    if len(signature.inputs) != 1:
        raise Unservable(f"the signature {name} has {len(signature.inputs)} inputs, not one")
    if not _is_numeric(signature.input.dtype):
        raise Unservable(f"the input of {name} is of {signature.input.dtype}, not of numbers")
    probabilities = signature.outputs.get("probabilities")
    if classes and probabilities is not None and probabilities.row != (len(classes),):
        raise Unservable(
            f"{len(classes)} classes are named, and {name} has {probabilities.row} probabilities"
        )


def _is_numeric(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "fiu"
    except TypeError:
        return False


def _served(signature: Signature, classes: Sequence[str]) -> Signature:
    """Give a signature as it is answered: where classes have names, with these behind the model's outputs."""
    if not classes or CLASS_IDS not in signature.outputs:
        return signature
    names = Tensor("string", signature.outputs[CLASS_IDS].shape, "the name of the most probable class")
    return Signature(signature.inputs, {**signature.outputs, CLASS_NAMES: names})


def _try(model: Model, name: str, signature: Signature, count: int) -> None:
    """Run a signature once, which also warms it up, and compare what comes with what the manifest says."""
    rows = np.zeros((count, *signature.input.row), signature.input.dtype)
    outputs = model.run(name, rows)
    for output, tensor in signature.outputs.items():
        promised = (tensor.dtype, (count, *tensor.row))
        values = outputs.get(output)
        given = None if values is None else (values.dtype.name, values.shape)
        if given != promised:
            raise Unservable(
                f"the model gives {given} as {output} of {name} for {count} rows; "
                f"its manifest promises {promised}"
            )
