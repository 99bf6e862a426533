"""Runs requests: small ones at once, larger ones in a thread, so that health answers meanwhile."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from tasks.serving.limits import SMALL_BYTES
from tasks.serving.release import Loaded
from tasks.serving.v1 import decode, encode

IN_DISTRIBUTION = "in_distribution"  # the output that tells inliers from outliers


class Answer(NamedTuple):
    """The body of an answer, and what is counted of it."""

    body: bytes
    rows: int
    inliers: int  # both are 0 where the signature does not say what is in distribution
    outliers: int


class Engine:
    """Answers the bodies of predict requests. Batching across requests belongs between decode and run."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="predict")

    async def predict(self, body: bytes, loaded: Loaded, *, max_images: int) -> Answer:
        """Give the answer; raises Wrong when the request is."""
        if len(body) <= SMALL_BYTES:
            return _predict(body, loaded, max_images)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _predict, body, loaded, max_images)


def _predict(body: bytes, loaded: Loaded, max_images: int) -> Answer:
    call = decode(body, loaded.signatures, max_images=max_images)
    outputs = loaded.run(call.signature, call.rows)
    body = encode(call, outputs, loaded.signatures[call.signature])
    flags = outputs.get(IN_DISTRIBUTION)
    if flags is None:
        return Answer(body, len(call.rows), 0, 0)
    inliers = int(np.count_nonzero(flags))
    return Answer(body, len(call.rows), inliers, len(flags) - inliers)
