"""Asks an endpoint for its answers to every set: what is judged is what users get."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped, Surroundings
from tasks.datasets.pixels import scale
from tasks.judging.scores import Outputs, Scores
from tasks.release.contract import Tensor

logger = logging.getLogger(__name__)

IN_FLIGHT = 2  # one request is computed while the next one is packed and sent
PROGRESS_SECONDS = 5.0

Rows = NDArray[Any]
Promised = Mapping[str, Tensor]
"""The outputs of `serving_default` as the manifest describes them, by name."""


class Answer(Protocol):
    """The outputs of a signature by name, and the version that gave them."""

    @property
    def outputs(self) -> Outputs: ...
    @property
    def version(self) -> int: ...


class Predictor(Protocol):
    """The part of a channel's client that judging needs; called from several threads."""

    def predict(self, rows: NDArray[np.float32], signature: str = ...) -> Answer: ...


def score_sets(
    client: Predictor,
    sets: Mapping[str, Rows],
    *,
    promised: Promised,
    version: int,
    request_rows: int,
    should_stop: Callable[[], bool],
) -> Scores:
    """Give the endpoint's answers for the rows (N, ...) of each set, as they are stored.

    Raises Surroundings when an answer is not from the expected version or not as `promised`, Stopped when
    asked to stop.
    """

    def ask(rows: NDArray[np.float32]) -> Outputs:
        return checked(client.predict(rows), len(rows), version, promised)

    scored = {name: _score_set(name, rows, ask, request_rows, should_stop) for name, rows in sets.items()}
    return Scores(version, scored)


def _score_set(
    name: str,
    rows: Rows,
    ask: Callable[[NDArray[np.float32]], Outputs],
    request_rows: int,
    should_stop: Callable[[], bool],
) -> Outputs:
    started = said = time.monotonic()
    parts: list[Outputs] = []
    for part in _in_flight(rows, ask, request_rows, should_stop):
        parts.append(part)
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            done = min(len(parts) * request_rows, len(rows))
            logger.info("%s: %s of %s rows scored", name, f"{done:,}", f"{len(rows):,}")
    seconds = time.monotonic() - started
    rate = len(rows) / max(seconds, 1e-9)
    logger.info("%s: %s rows scored in %.1f s (%s rows/s)", name, f"{len(rows):,}", seconds, f"{rate:,.0f}")
    return {output: np.concatenate([part[output] for part in parts]) for output in parts[0]}


def _in_flight(
    rows: Rows,
    ask: Callable[[NDArray[np.float32]], Outputs],
    request_rows: int,
    should_stop: Callable[[], bool],
) -> Iterator[Outputs]:
    """Give the answers in the order of the rows, with a few requests under way."""
    waiting: deque[Future[Outputs]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        try:
            for start in range(0, max(len(rows), 1), request_rows):
                if should_stop():
                    raise Stopped("stopped while the model was judged; nothing was promoted")
                if len(waiting) == IN_FLIGHT:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(ask, scale(rows[start : start + request_rows])))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def checked(answer: Answer, rows: int, version: int, promised: Promised) -> Outputs:
    """Give the promised outputs of an answer; Surroundings where it is not what was asked for."""
    if answer.version != version:
        raise Surroundings(
            f"version: the endpoint answered with version {answer.version}, and version {version} is to be "
            "judged; another server holds its address: stop it (make stop) and deliver again"
        )
    for name, tensor in promised.items():
        values = answer.outputs.get(name)
        wanted = (rows, *tensor.shape[1:])
        if values is None or values.shape != wanted:
            found = "no such output" if values is None else f"shape {values.shape}"
            raise Surroundings(
                f"the endpoint's answer has {found} for {name!r} where {wanted} was expected; "
                "is it a server of this project?"
            )
    return {name: answer.outputs[name] for name in promised}
