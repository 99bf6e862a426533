"""What a release promises: the names, types and shapes of its signatures, and where its files are.

Light to import: the model server, the probes and the export share it.
"""

from __future__ import annotations

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
    """One input or output; -1 in the shape is N, the number of rows, which may be 0."""

    dtype: str
    shape: tuple[int, ...]
    meaning: str
    range: tuple[float, float] | None = None

    def describe(self) -> dict[str, Any]:
        """Give the tensor as JSON."""
        described: dict[str, Any] = {"dtype": self.dtype, "shape": list(self.shape), "meaning": self.meaning}
        if self.range is not None:
            described["range"] = list(self.range)
        return described


@dataclass(frozen=True)
class Signature:
    """One function of the model: its inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def describe(self) -> dict[str, Any]:
        """Give the signature as JSON."""
        return {
            "inputs": {name: tensor.describe() for name, tensor in self.inputs.items()},
            "outputs": {name: tensor.describe() for name, tensor in self.outputs.items()},
        }


def describe(signatures: dict[str, Signature]) -> dict[str, Any]:
    """Give the signatures as the JSON that stands in the manifest."""
    return {name: signature.describe() for name, signature in signatures.items()}
