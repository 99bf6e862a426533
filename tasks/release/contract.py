"""What a release promises: the names, types and shapes of its signatures, and where its files are.

Light to import: the model server, the probes and the export share it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MANIFEST = "assets.extra/manifest.json"
TFLITE = "assets.extra/model.tflite"
GOLDEN = "assets.extra/golden.npz"
CLASSIFIER_ALONE = "assets.extra/model"
ALONE = "assets.extra"  # the folder of an autoencoder alone is in it, by its name
GOLDEN_ROWS = "imgs"  # the name of the rows in the file of the golden answers


@dataclass(frozen=True)
class Tensor:
    """One input or output: N rows, arrays of one shape; N, which may be 0, is -1 in the shape."""

    dtype: str
    shape: tuple[int, ...]
    meaning: str = ""
    range: tuple[float, float] | None = None

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one row; empty where it is a single number."""
        return self.shape[1:]

    @property
    def low(self) -> float:
        """The least value; -inf where the range is open."""
        return self.range[0] if self.range is not None else -math.inf

    @property
    def high(self) -> float:
        """The greatest value; inf where the range is open."""
        return self.range[1] if self.range is not None else math.inf

    def describe(self) -> dict[str, Any]:
        """Give the tensor as JSON."""
        described: dict[str, Any] = {"dtype": self.dtype, "shape": list(self.shape), "meaning": self.meaning}
        if self.range is not None:
            described["range"] = list(self.range)
        return described

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Tensor:
        """Give the tensor that is described as JSON; KeyError, TypeError or ValueError where it is none."""
        low_high = described.get("range")
        return cls(
            str(described["dtype"]),
            tuple(int(size) for size in described["shape"]),
            str(described.get("meaning", "")),
            None if low_high is None else (float(low_high[0]), float(low_high[1])),
        )


@dataclass(frozen=True)
class Signature:
    """One function of the model: its inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    @property
    def input_name(self) -> str:
        """The name of the only input."""
        (name,) = self.inputs
        return name

    @property
    def input(self) -> Tensor:
        """The only input."""
        (tensor,) = self.inputs.values()
        return tensor

    def describe(self) -> dict[str, Any]:
        """Give the signature as JSON."""
        return {
            "inputs": {name: tensor.describe() for name, tensor in self.inputs.items()},
            "outputs": {name: tensor.describe() for name, tensor in self.outputs.items()},
        }

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Signature:
        """Give the signature that is described as JSON; an error as of Tensor.read where it is none."""
        return cls(
            {name: Tensor.read(tensor) for name, tensor in described["inputs"].items()},
            {name: Tensor.read(tensor) for name, tensor in described["outputs"].items()},
        )


def names_of(classes: Sequence[str] | None) -> tuple[str, ...]:
    """Give the names of classes by id; none where they have none or are only counted: "0", "1", …"""
    names = tuple(classes or ())
    return () if names == tuple(map(str, range(len(names)))) else names


def describe(signatures: dict[str, Signature]) -> dict[str, Any]:
    """Give the signatures as the JSON that stands in the manifest."""
    return {name: signature.describe() for name, signature in signatures.items()}
