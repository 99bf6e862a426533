"""Reads a release without TensorFlow: its manifest, golden answers and files, checked against digests."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from settings.errors import WrongInput
from tasks.release import contract
from tasks.store.files import sha256_of
from tasks.store.schema import check_schema


class Release:
    """The release in a folder; raises WrongInput where it is none, Newer where a newer Slipway wrote it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = _read_manifest(folder)

    @property
    def tflite(self) -> Path:
        """The LiteRT file with all signatures."""
        return self.folder / contract.TFLITE

    @property
    def threshold(self) -> float | None:
        """The highest score that is in distribution, exactly the float32 in the SavedModel; None without."""
        return self._number("threshold")

    @property
    def false_positive_rate(self) -> float | None:
        """The share of rows in distribution that the threshold may flag; None where there is no score."""
        return self._number("false_positive_rate")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by id; none where they have none, as in an old release, or numbers."""
        given = self.manifest.get("classes")
        if given is not None and not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
            raise WrongInput(f"{self.folder / contract.MANIFEST}: 'classes' is no list of names; {_REMEDY}")
        return contract.names_of(given)

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each float output's tolerance (parity.py).

        A release from before it was measured has one by which the usual tolerance is what it was then:
        1e-4 of the value, and 1e-5.
        """
        floats = {
            name
            for signature in self.signatures.values()
            for name, tensor in signature.outputs.items()
            if tensor.dtype == "float32"
        }
        return dict(self.manifest.get("scales", dict.fromkeys(sorted(floats), 0.1)))

    @property
    def signatures(self) -> dict[str, contract.Signature]:
        """The signatures by name; WrongInput where the manifest does not describe them."""
        described = self.manifest["signatures"]
        try:
            return {name: contract.Signature.read(each) for name, each in described.items()}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            path = self.folder / contract.MANIFEST
            raise WrongInput(
                f"{path} describes its signatures in no known way ({error!r}); {_REMEDY}"
            ) from error

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of every file but the manifest, by path relative to the folder."""
        return dict(self.manifest["digests"])

    @cached_property
    def golden(self) -> dict[str, np.ndarray]:
        """The known rows, `imgs` (16, …) of the type of the input, and the SavedModel's outputs for them."""
        path = self.folder / contract.GOLDEN
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise WrongInput(f"{path} cannot be read ({error}); {_REMEDY}") from error

    def expected(self, signature: str = "serving_default") -> dict[str, np.ndarray]:
        """Give the golden outputs of one signature: what a server has to answer for `golden["imgs"]`."""
        return {name: self.golden[name] for name in self.signatures[signature].outputs}

    def _number(self, name: str) -> float | None:
        value = self.manifest.get(name)
        return None if value is None else float(value)

    def verify(self, files: Iterable[str] | None = None) -> None:
        """Check the given files (relative paths; default: all that the manifest lists) against the digests.

        Raises WrongInput with the first file that is missing or not as it was exported.
        """
        digests = self.digests
        for name in digests if files is None else files:
            path = self.folder / name
            if name not in digests:
                raise WrongInput(f"{path} is not in the manifest of its release; {_REMEDY}")
            try:
                found = sha256_of(path)
            except FileNotFoundError:
                raise WrongInput(f"{path} is missing from its release; {_REMEDY}") from None
            if found != digests[name]:
                raise WrongInput(
                    f"{path} is not as it was exported: its SHA-256 is {found[:12]}…, "
                    f"the manifest says {digests[name][:12]}…; {_REMEDY}"
                )


_REMEDY = "deliver again or go back to another version"
_FIELDS = {"signatures": dict, "digests": dict}
_NUMBERS = ("threshold", "false_positive_rate")  # none in a release without a score


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / contract.MANIFEST
    if not folder.is_dir():
        raise WrongInput(f"{folder} is not a release: there is no such folder")
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise WrongInput(f"{folder} is not a release: it has no {contract.MANIFEST}") from None
    except ValueError as error:
        raise WrongInput(f"{path} is damaged ({error}); {_REMEDY}") from error
    if isinstance(manifest, dict):
        check_schema(manifest, str(path))
    for name, kind in _FIELDS.items():
        if not isinstance(manifest, dict) or not isinstance(manifest.get(name), kind):
            raise WrongInput(f"{path} is not the manifest of a release: it has no {name!r}; {_REMEDY}")
    for name in _NUMBERS:
        value = manifest.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise WrongInput(f"{path} is not the manifest of a release: {name!r} is no number; {_REMEDY}")
    return dict(manifest)
