"""Runs requests: small ones at once, larger ones in a thread, so that health answers meanwhile."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from tasks.serving.release import Loaded
from tasks.serving.v1 import decode, encode

INLINE_BYTES = 64 * 1024  # about a dozen images, a millisecond of work


class Engine:
    """Answers the bodies of predict requests. Batching across requests belongs between decode and run."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="predict")

    async def predict(self, body: bytes, loaded: Loaded, *, max_images: int) -> bytes:
        """Give the body of the answer; raises Wrong when the request is."""
        if len(body) <= INLINE_BYTES:
            return _predict(body, loaded, max_images)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _predict, body, loaded, max_images)


def _predict(body: bytes, loaded: Loaded, max_images: int) -> bytes:
    call = decode(body, loaded.signatures, max_images=max_images)
    outputs = loaded.model.run(call.signature, call.imgs)
    return encode(call, outputs, loaded.signatures[call.signature])
