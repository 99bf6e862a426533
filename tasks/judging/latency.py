"""How quickly an endpoint answers: measured when a verdict is reached, and kept in it with the machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped
from tasks.datasets.pixels import scale
from tasks.judging.scoring import Predictor, Promised, checked

logger = logging.getLogger(__name__)

WARM_UP = 5
REQUESTS = {1: 200, 32: 50}  # requests by batch


@dataclass(frozen=True)
class Latency:
    """How long requests of `batch` rows took, sent one after the other, as the client sees it."""

    batch: int
    requests: int
    median_ms: float
    p99_ms: float


def measure_latency(
    client: Predictor,
    rows: NDArray[Any],
    *,
    promised: Promised,
    version: int,
    should_stop: Callable[[], bool],
) -> tuple[Latency, ...]:
    """Ask an endpoint for stored rows (N, ...), one request after the other; give the times by batch.

    Raises Surroundings where another version answers, Stopped when asked to stop.
    """
    return tuple(
        _measure(client, rows, batch, requests, promised, version, should_stop)
        for batch, requests in REQUESTS.items()
    )


def _measure(
    client: Predictor,
    rows: NDArray[Any],
    batch: int,
    requests: int,
    promised: Promised,
    version: int,
    should_stop: Callable[[], bool],
) -> Latency:
    asked = scale(np.resize(rows[:batch], (batch, *rows.shape[1:])))  # a tiny set is repeated
    seconds = []
    for at in range(WARM_UP + requests):
        if should_stop():
            raise Stopped("stopped while the latency was measured; nothing was promoted")
        started = time.perf_counter()
        checked(client.predict(asked), batch, version, promised)
        if at >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    median, p99 = np.quantile(seconds, [0.5, 0.99]) * 1_000
    logger.info("latency of a request of %d: median %.2f ms, 99 %% within %.2f ms", batch, median, p99)
    return Latency(batch, requests, round(float(median), 3), round(float(p99), 3))
