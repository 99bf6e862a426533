"""What computes the answers: the small interface that every runtime has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]  # (N, …) of the type and the shape of the signature's input
Outputs = dict[str, NDArray[np.generic]]


class Model(Protocol):
    """A loaded release; any number of threads may run it at once."""

    def run(self, signature: str, rows: Rows) -> Outputs:
        """Give the outputs of a signature by name, N rows each, for rows (N, …); N may be 0."""


class Runtime(Protocol):
    """Loads releases."""

    def load(self, folder: Path) -> Model:
        """Give the model of the release in `folder`, ready for its first request."""
