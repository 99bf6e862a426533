from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped, Surroundings
from tasks.judging.latency import REQUESTS, WARM_UP, measure_latency


def test_latency_is_measured_at_batch_1_and_32(world: Any) -> None:
    """Requests one after the other, warmed up, of a set that may be smaller than the batch."""
    batches: list[int] = []

    def pause(imgs: np.ndarray) -> None:
        batches.append(len(imgs))
        time.sleep(0.001)

    client = replace(world.client, before=pause)
    measured = measure_latency(
        client, world.sets["test"][:20], promised=world.promised, version=1, should_stop=lambda: False
    )
    assert [(each.batch, each.requests) for each in measured] == list(REQUESTS.items())
    assert all(1 <= each.median_ms <= each.p99_ms for each in measured)
    assert batches.count(32) == WARM_UP + REQUESTS[32]


def test_the_latency_of_another_version_is_not_taken(world: Any) -> None:
    """An answer of a version that is not judged is an error."""
    client = replace(world.client, version=7)
    with pytest.raises(Surroundings, match="answered with version 7"):
        measure_latency(
            client, world.sets["test"], promised=world.promised, version=1, should_stop=lambda: False
        )


def test_a_wish_to_stop_is_heard(world: Any) -> None:
    """No further request is sent after the wish."""
    sent: list[int] = []
    client = replace(world.client, before=lambda imgs: sent.append(len(imgs)))
    with pytest.raises(Stopped):
        measure_latency(
            client, world.sets["test"], promised=world.promised, version=1, should_stop=lambda: len(sent) >= 3
        )
    assert sent == [1, 1, 1]
