"""The learning rate of each step, and which rows each step takes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Schedule = Literal["cosine", "constant"]

WARM_UP = 0.05
"""The share of the steps in which the cosine schedule rises."""


def learning_rates(schedule: Schedule, highest: float, steps: int) -> npt.NDArray[np.float64]:
    """The learning rate of each step, (steps,).

    `cosine` rises in a line within the share WARM_UP of the steps, then falls along half a cosine to nothing.
    """
    if schedule == "constant":
        return np.full(steps, highest)
    step = np.arange(1, steps + 1, dtype=np.float64)
    warm_up = max(1.0, WARM_UP * steps)
    falling = 0.5 * (1 + np.cos(np.pi * (step - warm_up) / max(1.0, steps + 1 - warm_up)))
    return highest * np.where(step < warm_up, step / warm_up, falling)


class Order:
    """The endless row of shuffled rows that the steps take their batches from.

    Each epoch is a permutation of all rows, drawn from the seed and the number of the epoch alone; a
    batch may reach from one into the next, so no row is left out.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed

    def batches(self, first: int, count: int) -> npt.NDArray[np.int32]:
        """The rows of steps `first` to `first + count - 1`, counted from 0: indices (count, batch size)."""
        if not count:
            return np.empty((0, self._batch_size), np.int32)
        start, end = first * self._batch_size, (first + count) * self._batch_size
        epochs = range(start // self._rows, -(-end // self._rows))
        row = np.concatenate([self._epoch(epoch) for epoch in epochs])
        offset = epochs.start * self._rows
        return row[start - offset : end - offset].reshape(count, self._batch_size)

    def _epoch(self, epoch: int) -> npt.NDArray[np.int32]:
        generator = np.random.default_rng([self._seed, 1, epoch])
        return generator.permutation(self._rows).astype(np.int32)
