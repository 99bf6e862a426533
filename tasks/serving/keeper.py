"""Reconciles what is served with the channel's document: a version is loaded beside the old, then swapped."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

from settings.errors import SlipwayError
from tasks.release.document import Wanted, revision_of
from tasks.serving.release import Absent, Loaded, Unservable, digest_of, find_folder, load
from tasks.serving.runtimes import find_runtime
from tasks.store.schema import Newer

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.1  # before a version that could not be loaded is tried again; then twice as long
LONGEST_PAUSE_SECONDS = 30.0


class Keeper:
    """The one place where the served version changes; everything else reads `loaded` and `limits`.

    `loaded` is replaced whole, so a request that took it finishes on it. A version that cannot be loaded,
    or a document that cannot be read, leaves the old version serving and stands in `error`, without paths:
    everybody may read it. Where nothing is served, as at a start, the version that the document names as the
    one before takes its place. As long as the document wants a version that could not be loaded it is tried
    again.
    """

    def __init__(self, document: Path, roots: Sequence[Path], *, threads: int) -> None:
        self.document = document
        self.roots = roots
        self.threads = threads
        self.loaded: Loaded | None = None
        self.limits = Wanted(0)
        self.wanted = 0
        self.error = ""
        self.fallback = False  # whether the version before is served, in place of the wanted one
        self.revision: str | None = None  # of the document that was read last
        self.settled = False  # whether it is reconciled, or refused for a reason that does not pass by itself
        self._logged = ""  # the reason that is in the log already
        self._pause = FIRST_PAUSE_SECONDS
        self._again = math.inf  # when to try once more

    @property
    def ready(self) -> bool:
        """Whether a version is served."""
        return self.loaded is not None

    @property
    def version(self) -> int:
        """The version that is served; 0 for none."""
        return self.loaded.version if self.loaded else 0

    async def watch(self) -> None:
        """Reconcile for ever."""
        while True:
            await self.reconcile()
            await asyncio.sleep(POLL_SECONDS)

    async def settle(self, *, patience_seconds: float) -> None:
        """Reconcile once; a failure that may pass is given so long to do so."""
        deadline = time.monotonic() + patience_seconds
        await self.reconcile()
        while not self.settled and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            await self.reconcile()

    async def reconcile(self) -> None:
        """Bring what is served to what the document wants, if it changed or a failure is tried again."""
        while (seen := self._seen()) != self.revision or time.monotonic() >= self._again:
            if seen != self.revision:
                self._logged, self._pause = "", FIRST_PAUSE_SECONDS
            self._again = math.inf
            try:
                wanted = Wanted.parse(await asyncio.to_thread(self.document.read_bytes))
            except FileNotFoundError:
                self._fail(f"there is no document {self.document}")
            except (ValueError, Newer) as error:
                self._fail(f"the document {self.document} is not valid: {error}")
            except OSError as error:
                self._fail(f"the document {self.document} cannot be read: {error.strerror}", may_pass=True)
                self._try_later()
            else:
                await self._swap(wanted, seen)
            self.revision = seen

    def _seen(self) -> str:
        """Give the revision that the document has now; empty without one that can be looked up."""
        try:
            return revision_of(self.document)
        except OSError:
            return ""

    async def _swap(self, wanted: Wanted, seen: str) -> None:
        self.wanted = wanted.version
        if wanted.version == 0:
            loaded = None
        elif await asyncio.to_thread(self._is_loaded, wanted):
            loaded = self.loaded
        else:
            started = time.perf_counter()
            try:
                loaded = await asyncio.to_thread(self._load, wanted, wanted.version)
            except Exception as error:  # whatever it is, the old version goes on
                may_pass = isinstance(error, Absent | OSError | MemoryError)
                reason = f"version {wanted.version} cannot be served: {_reason(error)}"
                reason += await self._fall_back(wanted)
                self._fail(reason, may_pass=may_pass)
                self._try_later()
                return
            if self._seen() != seen:
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
        self.fallback = False
        self.settled = True

    async def _fall_back(self, wanted: Wanted) -> str:
        """Serve the version before where nothing is served; say so, or why it is not served either."""
        if self.loaded is None and wanted.previous:
            try:
                self.loaded = await asyncio.to_thread(self._load, wanted, wanted.previous)
            except Exception as error:
                return f"; nor can version {wanted.previous}, the one before: {_reason(error)}"
            self.limits, self.fallback = wanted, True
        return f"; version {self.version}, the one before, is served in its place" if self.fallback else ""

    def _is_loaded(self, wanted: Wanted) -> bool:
        """Tell whether what is wanted is served: a version may have been made anew under its number."""
        loaded = self.loaded
        if loaded is None or (loaded.version, loaded.runtime) != (wanted.version, wanted.runtime):
            return False
        try:
            return digest_of(find_folder(wanted.version, self.roots)) == loaded.digest
        except (OSError, Unservable):  # loading says what is wrong with it
            return False

    def _load(self, wanted: Wanted, version: int) -> Loaded:
        folder = find_folder(version, self.roots)
        runtime = find_runtime(wanted.runtime, threads=self.threads)
        return load(version, folder, wanted.runtime, runtime)

    def _try_later(self) -> None:
        self._again = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _fail(self, reason: str, *, may_pass: bool = False) -> None:
        if reason != self._logged:
            serving = f"version {self.version} goes on" if self.loaded else "nothing is served"
            logger.error("%s; %s", reason, serving)
            self._logged = reason
        self.error = self._without_paths(reason)
        self.settled = not may_pass

    def _without_paths(self, reason: str) -> str:
        """Name the folders and the document by what they are: where they are is nobody's business."""
        for root, what in zip(self.roots, ("the releases", "the candidates"), strict=False):
            reason = reason.replace(f"{root}/", "").replace(str(root), what)
        return reason.replace(str(self.document), self.document.name)


def _reason(error: Exception) -> str:
    if isinstance(error, SlipwayError | Unservable):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return f"{type(error).__name__}: {error}"
