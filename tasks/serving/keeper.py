"""Keeps the version that the channel's document wants: loads it beside the old one, then swaps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from settings.errors import SlipwayError
from tasks.serving.document import Document, parse, stamp
from tasks.serving.release import Loaded, Unservable, digest_of, find_folder, load
from tasks.serving.runtime import find_runtime

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05


class Keeper:
    """The one place where the served version changes; everything else reads `loaded` and `limits`.

    `loaded` is replaced whole, so a request that took it finishes on it. A version that cannot be loaded,
    or a document that cannot be read, leaves the old version serving and stands in `error`.
    """

    def __init__(self, document: Path, homes: Sequence[Path], *, threads: int) -> None:
        self.document = document
        self.homes = homes
        self.threads = threads
        self.loaded: Loaded | None = None
        self.limits = Document()
        self.wanted = 0
        self.error = ""
        self.settled: str | None = None  # stamp of the document last obeyed, or found impossible

    @property
    def ready(self) -> bool:
        """Whether a version is served."""
        return self.loaded is not None

    @property
    def version(self) -> int:
        """The version that is served; 0 for none."""
        return self.loaded.version if self.loaded else 0

    async def watch(self) -> None:
        """Obey the document for ever."""
        while True:
            await self.obey()
            await asyncio.sleep(POLL_SECONDS)

    async def obey(self) -> None:
        """Bring what is served to what the document wants, if the document changed."""
        while (seen := stamp(self.document)) != self.settled:
            try:
                wanted = parse(await asyncio.to_thread(self.document.read_bytes))
            except FileNotFoundError:
                self._fail(f"there is no document {self.document}")
            except (OSError, ValueError) as error:
                self._fail(f"the document {self.document} cannot be obeyed: {error}")
            else:
                await self._bring(wanted, seen)
            self.settled = seen

    async def _bring(self, wanted: Document, seen: str) -> None:
        self.wanted = wanted.version
        if wanted.version == 0:
            loaded = None
        elif await asyncio.to_thread(self._is_loaded, wanted):
            loaded = self.loaded
        else:
            started = time.perf_counter()
            try:
                loaded = await asyncio.to_thread(self._load, wanted)
            except Exception as error:  # whatever it is, the old version goes on
                self._fail(f"version {wanted.version} cannot be served: {_reason(error)}")
                return
            if stamp(self.document) != seen:
                return  # the document changed meanwhile: what was loaded may be unwanted by now
            seconds = time.perf_counter() - started
            logger.info(
                "version %d is served by %s, loaded in %.2f s", wanted.version, wanted.runtime, seconds
            )
        if loaded is None and self.loaded:
            logger.info("version %d is no longer served: the document wants none", self.loaded.version)
        self.limits = wanted
        self.loaded = loaded
        self.error = ""

    def _is_loaded(self, wanted: Document) -> bool:
        """Tell whether what is wanted is served: a version may have been made anew under its number."""
        loaded = self.loaded
        if loaded is None or (loaded.version, loaded.runtime) != (wanted.version, wanted.runtime):
            return False
        try:
            return digest_of(find_folder(wanted.version, self.homes)) == loaded.digest
        except (OSError, Unservable):  # loading says what is wrong with it
            return False

    def _load(self, wanted: Document) -> Loaded:
        folder = find_folder(wanted.version, self.homes)
        runtime = find_runtime(wanted.runtime, threads=self.threads)
        return load(wanted.version, folder, wanted.runtime, runtime)

    def _fail(self, reason: str) -> None:
        self.error = reason
        serving = f"version {self.version} goes on" if self.loaded else "nothing is served"
        logger.error("%s; %s", reason, serving)


def _reason(error: Exception) -> str:
    if isinstance(error, SlipwayError | Unservable | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"
