"""What computes the answers: the small interface that every runtime has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
Outputs = dict[str, NDArray[np.generic]]


class Model(Protocol):
    """A loaded release; any number of threads may run it at once."""

    def run(self, signature: str, imgs: Images) -> Outputs:
        """Give the outputs of a signature by name, N rows each, for imgs (N, 28, 28); N may be 0."""


class Runtime(Protocol):
    """Loads releases."""

    def load(self, folder: Path) -> Model:
        """Give the model of the release in `folder`, ready for its first request."""


def find_runtime(name: str, *, threads: int) -> Runtime:
    """Give the runtime of that name (the document's `runtime`); only this imports its library."""
    if name == "litert":
        from tasks.serving.litert import LiteRT

        return LiteRT(threads)
    if name == "tensorflow":
        from tasks.serving.savedmodel import TensorFlow

        return TensorFlow(threads)
    raise ValueError(f"there is no runtime {name!r}: litert or tensorflow")
