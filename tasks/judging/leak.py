"""Whether test rows were trained on."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def count_leaked(train_rows: NDArray[Any], test_rows: NDArray[Any]) -> int:
    """Give how many of the test rows (N, ...) occur, byte for byte, among the training rows."""
    test = [row.tobytes() for row in test_rows]
    wanted = set(test)
    found = {content for content in (row.tobytes() for row in train_rows) if content in wanted}
    return sum(content in found for content in test)
