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
from tasks.judging.scores import OUTPUTS, Scores, SetScores

logger = logging.getLogger(__name__)

IN_FLIGHT = 2  # one request is computed while the next one is packed and sent
PROGRESS_SECONDS = 5.0

Images = NDArray[np.uint8]
Outputs = Mapping[str, NDArray[Any]]


class Answer(Protocol):
    """The outputs of a signature by name, and the version that gave them."""

    @property
    def outputs(self) -> Outputs: ...
    @property
    def version(self) -> int: ...


class Predictor(Protocol):
    """The part of a channel's client that judging needs; called from several threads."""

    def predict(self, imgs: NDArray[np.float32], signature: str = ...) -> Answer: ...


def score_sets(
    client: Predictor,
    sets: Mapping[str, Images],
    *,
    version: int,
    request_images: int,
    should_stop: Callable[[], bool],
) -> Scores:
    """Give the endpoint's answers for the images uint8 (N, 28, 28) of each set.

    Raises Surroundings when an answer is not from the expected version or not of the signature's shape,
    Stopped when asked to stop.
    """

    def ask(imgs: NDArray[np.float32]) -> SetScores:
        return checked(client.predict(imgs), len(imgs), version)

    scored = {
        name: _score_set(name, images, ask, request_images, should_stop) for name, images in sets.items()
    }
    return Scores(version, scored)


def _score_set(
    name: str,
    images: Images,
    ask: Callable[[NDArray[np.float32]], SetScores],
    request_images: int,
    should_stop: Callable[[], bool],
) -> SetScores:
    started = said = time.monotonic()
    parts: list[SetScores] = []
    for part in _in_flight(images, ask, request_images, should_stop):
        parts.append(part)
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            done = min(len(parts) * request_images, len(images))
            logger.info("%s: %s of %s images scored", name, f"{done:,}", f"{len(images):,}")
    seconds = time.monotonic() - started
    rate = len(images) / max(seconds, 1e-9)
    logger.info(
        "%s: %s images scored in %.1f s (%s images/s)", name, f"{len(images):,}", seconds, f"{rate:,.0f}"
    )
    return SetScores(
        **{output: np.concatenate([getattr(part, output) for part in parts]) for output in OUTPUTS}
    )


def _in_flight(
    images: Images,
    ask: Callable[[NDArray[np.float32]], SetScores],
    request_images: int,
    should_stop: Callable[[], bool],
) -> Iterator[SetScores]:
    """Give the answers in the order of the images, with a few requests under way."""
    waiting: deque[Future[SetScores]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        try:
            for start in range(0, max(len(images), 1), request_images):
                if should_stop():
                    raise Stopped("stopped while the model was judged; nothing was promoted")
                if len(waiting) == IN_FLIGHT:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(ask, scale(images[start : start + request_images])))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def checked(answer: Answer, images: int, version: int) -> SetScores:
    """Give the answer as arrays; Surroundings where it is not what was asked for."""
    if answer.version != version:
        raise Surroundings(
            f"version: the endpoint answered with version {answer.version}, and version {version} is to be "
            "judged; another server holds its address: stop it (make stop) and deliver again"
        )
    shapes = {"class_ids": (images,), "score": (images,), "in_distribution": (images,)}
    for name in OUTPUTS:
        values = answer.outputs.get(name)
        wanted = shapes.get(name, (images, 10))
        if values is None or values.shape != wanted:
            found = "no such output" if values is None else f"shape {values.shape}"
            raise Surroundings(
                f"the endpoint's answer has {found} for {name!r} where {wanted} was expected; "
                "is it a server of this project?"
            )
    return SetScores(**{name: answer.outputs[name] for name in OUTPUTS})
