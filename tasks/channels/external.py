"""Channels whose servers somebody else keeps running, as docker compose does: one at the URL of each channel.

A server watches its channel's document as a file, in a folder that it shares with this process. So a rollout
is a new document, and the wait until the server has reconciled with it; nothing is started or ended here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from settings.errors import SlipwayError, Stopped, Surroundings
from tasks.channels.backend import (
    SERVE_IMAGE_RUNTIMES,
    Channel,
    Claim,
    Endpoint,
    Serving,
    replaced,
    unconditional,
)
from tasks.channels.client import Client
from tasks.channels.files import CHANNELS, ChannelFiles
from tasks.channels.health import Refusals, has_reconciled, roots_of, shortcoming
from tasks.channels.inspection import Found, answer_of
from tasks.release.document import Wanted
from tasks.store.token import read_token

logger = logging.getLogger(__name__)

NOTHING = Wanted(version=0)  # a server with it stays up, and serves nothing
URL_VARIABLES = {"stage": "STAGE_URL", "production": "PRODUCTION_URL"}
SETTLE_SECONDS = 15.0  # from a document to a server that has reconciled with it
POLL_SECONDS = 0.05


class ExternalBackend:
    """The backend for one model whose servers are there already; see Backend for the promises."""

    rollout_seconds = 60.0
    runtimes: tuple[str, ...] = SERVE_IMAGE_RUNTIMES

    def __init__(
        self,
        models_root: Path,
        name: str,
        releases: Path,
        candidates: Path,
        urls: Mapping[Channel, str],
        token_file: Path | None = None,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take the folders, for each channel its URL `http://HOST:PORT`, and the model's lock."""
        self.folder = models_root.absolute() / CHANNELS / name
        self.name = name
        self.releases = releases
        self.candidates = candidates
        self.urls = dict(urls)
        self.token_file = token_file
        self.lock = lock

    def put(
        self,
        channel: Channel,
        wanted: Wanted,
        *,
        should_stop: Callable[[], bool],
        claim: Claim = unconditional,
    ) -> Endpoint:
        """Bring the channel to serve what is wanted; on failure its old document and version go on.

        A server that is away is waited for: whoever keeps it may be starting it again.
        """
        deadline = time.monotonic() + self.rollout_seconds
        files = self._files(channel)
        found = self._inspect(channel)
        if found.kind == "stranger":
            raise self._foreign(channel, found)
        if files.wanted() == wanted and self._judge(channel, found, wanted).healthy:
            return self.endpoint(channel)
        own = ""
        try:
            with self.lock():
                claim()
                before = files.wanted()
                own = files.want(wanted)
            self._wait(channel, wanted, own, deadline, should_stop)
        except BaseException:
            if own:
                self._undo(channel, own, before or served(found))
            raise
        return self.endpoint(channel)

    def document(self, channel: Channel) -> Wanted | None:
        """Give what the document says; None where there is none or it cannot be read."""
        return self._files(channel).wanted()

    def current(self, channel: Channel) -> Serving | None:
        """Give what the channel serves; None if it serves nothing, and is not meant to."""
        files = self._files(channel)
        found = self._inspect(channel)
        wanted = files.wanted()
        is_meant = wanted != NOTHING if wanted is not None else files.document.exists()
        is_served = found.kind == "ours" and found.health["version"] != 0
        return self._judge(channel, found, wanted) if is_meant or is_served else None

    def remove(self, channel: Channel, *, claim: Claim = unconditional, keep: bool = False) -> None:
        """Let the channel serve nothing, and wait until its server has let the version go; it stays up."""
        if self.current(channel) is None:
            return
        with self.lock():
            claim()
            own = self._files(channel).want(NOTHING)
        if self._inspect(channel).kind == "ours":
            self._wait(channel, NOTHING, own, time.monotonic() + SETTLE_SECONDS, lambda: False)
        logger.info("%s serves nothing", channel)

    def kept(self, channel: Channel) -> Wanted | None:
        """Give None: the history alone tells what was served before."""
        return None

    def check(self, channel: Channel) -> None:
        """Raise Surroundings unless the channel's server answers and has reconciled with the document here.

        WrongInput says that it does not let the token in.
        """
        if self.token_file is not None:
            read_token(self.token_file)
        deadline = time.monotonic() + SETTLE_SECONDS
        while (found := self._inspect(channel)).kind == "ours":
            if self._is_settled(channel, found) or self._has_refused(channel, found):
                with Client(self.endpoint(channel)) as client:
                    client.check_token()
                return
            if time.monotonic() > deadline:
                raise Surroundings(f"{channel}: {self._unsettled(channel)}")
            time.sleep(POLL_SECONDS)
        raise self._foreign(channel, found) if found.kind == "stranger" else self._away(channel)

    def endpoint(self, channel: Channel) -> Endpoint:
        """Give where the channel answers, or would."""
        return Endpoint(self.urls[channel], self.name, self.token_file)

    def _judge(self, channel: Channel, found: Found, wanted: Wanted | None) -> Serving:
        """Compare what was found with what is wanted."""
        endpoint = self.endpoint(channel)
        if found.kind != "ours":
            detail = f"its URL is that of {found.who}" if found.who else "its server does not answer"
            return Serving(0, False, endpoint, detail, wanted)
        health = found.health
        detail = shortcoming(health, wanted, roots_of(channel, self.releases, self.candidates))
        if not detail and not self._is_settled(channel, found):
            detail = self._unsettled(channel)
        return Serving(
            int(health["version"]),
            not detail,
            endpoint,
            detail,
            wanted,
            str(health["digest"]),
            bool(health.get("fallback")),
        )

    def _wait(
        self, channel: Channel, wanted: Wanted, own: str, deadline: float, should_stop: Callable[[], bool]
    ) -> None:
        """Wait until the channel's server has reconciled with the document whose revision is `own`."""
        what = f"version {wanted.version}" if wanted.version else "nothing"
        refusals = Refusals()
        while True:
            if self._files(channel).revision() != own:
                raise replaced(channel, wanted, self._files(channel).wanted())
            found = self._inspect(channel)
            if found.kind == "stranger":
                raise self._foreign(channel, found)
            if found.kind == "ours" and found.health["revision"] == own:
                if refusal := refusals.believed(found.health):
                    raise Surroundings(f"{channel}: {refusal}")
                if self._is_settled(channel, found) and found.health["version"] == wanted.version:
                    return
            if should_stop():
                raise Stopped(f"stopped before {channel} served {what}")
            if time.monotonic() > deadline:
                why = self._unsettled(channel) if found.kind == "ours" else str(self._away(channel))
                raise Surroundings(f"{channel} did not serve {what} in time: {why}")
            time.sleep(POLL_SECONDS)

    def _undo(self, channel: Channel, own: str, before: Wanted) -> None:
        """Let the channel serve what it served before, and wait for it; what goes wrong then is only logged.

        Only where the document is still of the revision `own`: who replaced it has decided otherwise.
        """
        files = self._files(channel)
        with self.lock():
            if files.revision() != own:
                return
            own = files.want(before)
        try:
            self._wait(channel, before, own, time.monotonic() + SETTLE_SECONDS, lambda: False)
        except SlipwayError as error:
            logger.error("what %s served before does not come back: %s", channel, error)

    def _inspect(self, channel: Channel) -> Found:
        """Find out whether the server of this channel's document answers at its URL."""
        host, _, port = self.urls[channel].removeprefix("http://").partition(":")
        health = answer_of(host, int(port))
        if health is None:
            return Found("nothing")
        if health["document"] != self._files(channel).place_id:
            return Found("stranger", who="a model server of another document")
        return Found("ours", health=health)

    def _is_settled(self, channel: Channel, found: Found) -> bool:
        return has_reconciled(found.health, self._files(channel).revision())

    def _has_refused(self, channel: Channel, found: Found) -> bool:
        return bool(found.health["error"] and found.health["revision"] == self._files(channel).revision())

    def _unsettled(self, channel: Channel) -> str:
        document = self._files(channel).document
        return (
            f"the server at {self.urls[channel]} has not obeyed {document} as it is here: "
            "see its log, and whether it has the same folder at that path"
        )

    def _away(self, channel: Channel) -> Surroundings:
        return Surroundings(
            f"no model server answers at {self.urls[channel]}, the URL of {channel}: start it "
            f"(docker compose -f docker/compose.yaml up --wait), or set {URL_VARIABLES[channel]}"
        )

    def _foreign(self, channel: Channel, found: Found) -> Surroundings:
        return Surroundings(
            f"{self.urls[channel]}, the URL of {channel}, is that of {found.who}, not of "
            f"{self._files(channel).document}: set {URL_VARIABLES[channel]}, or give the server this document"
        )

    def _files(self, channel: Channel) -> ChannelFiles:
        return ChannelFiles(self.folder, channel)


def served(found: Found) -> Wanted:
    """Give what a server serves as the wish for it: all that is left of a document that cannot be read."""
    if found.kind != "ours" or not found.health["version"]:
        return NOTHING
    return Wanted(int(found.health["version"]), str(found.health["runtime"]))
