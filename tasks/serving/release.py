"""Loads a version: its folder, checked against its digests, behind its runtime, tried once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.release.contract import MANIFEST
from tasks.release.reader import Release
from tasks.serving.runtime import Model, Runtime


class Unservable(Exception):  # noqa: N818
    """A version that cannot be served, with the reason."""


class Absent(Unservable):
    """A version that is not there, or not whole: on a network volume it may appear a moment later."""


@dataclass(frozen=True)
class Tensor:
    """An input or output as the manifest describes it; -1 in the shape is the number of images."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Signature:
    """A function of the model; every one has a single input, the images."""

    input: Tensor
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Loaded:
    """A version that can answer."""

    version: int
    runtime: str
    digest: str  # of the manifest, and so of all its files
    signatures: Mapping[str, Signature]
    model: Model
    false_positive_rate: float  # share of images in distribution that the threshold may flag
    since: float  # seconds since 1970


_REMEDY = "deliver again or go back to another version"


def find_folder(version: int, homes: Sequence[Path]) -> Path:
    """Give the first folder that holds the version."""
    for home in homes:
        if (folder := home / str(version)).is_dir():
            return folder
    raise Absent(f"version {version} is not in {' or '.join(map(str, homes))}")


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
    signatures = {name: _signature(name, described) for name, described in release.signatures.items()}
    model = runtime.load(folder)
    for name, signature in signatures.items():
        for count in (0, 1, 32):
            _try(model, name, signature, count)
    rate = float(release.manifest["false_positive_rate"])
    return Loaded(version, runtime_name, digest, signatures, model, rate, time.time())


def _signature(name: str, described: Mapping[str, Any]) -> Signature:
    inputs = [_tensor(tensor, fields) for tensor, fields in described["inputs"].items()]
    if len(inputs) != 1:
        raise Unservable(f"the signature {name} has {len(inputs)} inputs, not one")
    return Signature(
        inputs[0], tuple(_tensor(tensor, fields) for tensor, fields in described["outputs"].items())
    )


def _tensor(name: str, fields: Mapping[str, Any]) -> Tensor:
    low, high = fields.get("range", (-np.inf, np.inf))
    return Tensor(name, fields["dtype"], tuple(fields["shape"]), low, high)


def _try(model: Model, name: str, signature: Signature, count: int) -> None:
    """Run a signature once, which also warms it up, and compare what comes with what the manifest says."""
    imgs = np.zeros((count, *signature.input.shape[1:]), np.float32)
    outputs = model.run(name, imgs)
    for tensor in signature.outputs:
        promised = (tensor.dtype, (count, *tensor.shape[1:]))
        output = outputs.get(tensor.name)
        given = None if output is None else (output.dtype.name, output.shape)
        if given != promised:
            raise Unservable(
                f"the model gives {given} as {tensor.name} of {name} for {count} images; "
                f"its manifest promises {promised}"
            )
