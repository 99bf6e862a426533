"""Channels on this machine: a model server process for each, which outlives the command that started it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from settings.errors import Stopped, Surroundings
from tasks.channels import process
from tasks.channels.address import Address
from tasks.channels.backend import Channel, Claim, Endpoint, Serving, replaced, unconditional
from tasks.channels.files import CHANNELS, ChannelFiles
from tasks.channels.health import Refusals, has_reconciled, roots_of, shortcoming
from tasks.channels.inspection import Found
from tasks.channels.ports import Ports
from tasks.channels.servers import Servers
from tasks.release.document import Wanted
from tasks.store.token import read_token

logger = logging.getLogger(__name__)

UNDO_SECONDS = 15.0
POLL_SECONDS = 0.02


class LocalBackend:
    """The backend for one model on this machine; see Backend for what the methods promise."""

    rollout_seconds = 60.0
    runtimes: tuple[str, ...] = ("litert", "tensorflow")

    def __init__(
        self,
        models_root: Path,
        name: str,
        releases: Path,
        candidates: Path,
        host: str,
        ports: Mapping[Channel, int],
        token_file: Path | None = None,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take the folders and the host, and the model's lock, under which documents change.

        `ports` are those that are given for its channels; a channel without gets one that is remembered.
        """
        self.models_root = models_root.absolute()
        self.folder = self.models_root / CHANNELS / name
        self.name = name
        self.releases = releases.absolute()
        self.candidates = candidates.absolute()
        self.host = host
        self.ports = Ports(models_root, name, host, ports)
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
        """Bring the channel to serve what is wanted; on failure its old document and version go on."""
        deadline = time.monotonic() + self.rollout_seconds
        self.ports.reserve()
        files = self._files(channel)
        found = self._address(channel).inspect()
        if found.kind == "stuck":
            found = self._address(channel).inspect()  # one slow answer is no reason to end a server
        self._refuse(channel, found)
        if files.wanted() == wanted and self._judge(channel, found, wanted).healthy:
            return self.endpoint(channel)
        self._servers(channel).pids()  # none may be another user's
        was_up = found.kind != "nothing" or files.note.exists()
        own, started = "", None
        try:
            with self.lock():
                claim()
                before = files.wanted()
                own = files.want(wanted)
            if found.kind == "stuck":
                logger.warning(
                    "the server of %s (process %d) does not answer: it is ended", channel, found.pid
                )
                process.end(found.pid, patience_seconds=1.0)
            if found.kind != "ours":
                started = self._servers(channel).start(replaces=None)
            elif not self._servers(channel).is_current(found):
                started = self._servers(channel).start(replaces=found.pid)
            serving = self._wait(channel, wanted, own, found.pid, started, deadline, should_stop)
            # The one before drains since its port was taken over; on another port it would go on for ever.
            self._servers(channel).end_others(but=serving)
            files.kept.unlink(missing_ok=True)
        except BaseException as error:
            overtaken = bool(own) and not self._undo(channel, own, before if was_up else None, started)
            if overtaken and isinstance(error, Surroundings):  # whoever overtook it took the server away
                raise replaced(channel, wanted, files.wanted()) from error
            raise
        return self.endpoint(channel)

    def document(self, channel: Channel) -> Wanted | None:
        """Give what the document says; None where there is none or it cannot be read."""
        return self._files(channel).wanted()

    def current(self, channel: Channel) -> Serving | None:
        """Give what the channel serves; None if it is not up, and is not meant to be."""
        files = self._files(channel)
        found = self._address(channel).inspect()
        if found.kind not in ("ours", "theirs", "stuck") and not files.note.exists():
            return None
        return self._judge(channel, found, files.wanted())

    def remove(self, channel: Channel, *, claim: Claim = unconditional, keep: bool = False) -> None:
        """Stop the channel's servers on all ports and wait until they have ended; its document goes first.

        What is put there meanwhile starts a server of its own, which stays. Surroundings says that a server
        is another user's; then nothing is stopped, and nothing goes.
        """
        files = self._files(channel)
        with self.lock():
            claim()
            servers = self._servers(channel)
            pids = servers.pids()
            files.forget(keep=keep)
        servers.end(pids)

    def kept(self, channel: Channel) -> Wanted | None:
        """Give what the channel was wanted to serve when it was removed and that was kept."""
        return self._files(channel).kept_wanted()

    def renew(self, channel: Channel) -> None:
        """Let the next put start a new server, which takes the port over from the one that runs."""
        self._files(channel).note.unlink(missing_ok=True)

    def check(self, channel: Channel) -> None:
        """Raise Surroundings unless the channel's port is free or held by its own server, this user's.

        WrongInput says what is wrong with the file of the token.
        """
        if self.token_file is not None:
            read_token(self.token_file)
        found = self._address(channel).inspect()
        self._refuse(channel, found)
        if found.kind != "nothing":
            return
        self._servers(channel).pids()
        self._address(channel).check_free(found)

    def endpoint(self, channel: Channel) -> Endpoint:
        """Give where the channel answers, or would."""
        return Endpoint(self._address(channel).url, self.name, self.token_file)

    def _judge(self, channel: Channel, found: Found, wanted: Wanted | None) -> Serving:
        """Compare what was found with what is wanted."""
        endpoint = self.endpoint(channel)
        if found.kind not in ("ours", "theirs"):
            detail = {
                "nothing": "its server is not running",
                "stuck": f"its server (process {found.pid}) does not answer",
                "stranger": f"its port is held by {found.who}",
            }[found.kind]
            return Serving(0, False, endpoint, detail, wanted)
        health = found.health
        detail = shortcoming(health, wanted, roots_of(channel, self.releases, self.candidates))
        if not detail and not self._servers(channel).is_current(found):
            detail = f"its server (process {found.pid}) was started by other code or settings"
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
        self,
        channel: Channel,
        wanted: Wanted,
        own: str,
        before: int,
        started: int | None,
        deadline: float,
        should_stop: Callable[[], bool],
    ) -> int:
        """Wait until the server has reconciled with the document whose revision is `own`; give its process.

        It is the process that was `started`, else the one that was there `before` (0: none).
        """
        files = self._files(channel)
        expected = started or before
        refusals = Refusals()
        while True:
            if files.revision() != own:
                raise replaced(channel, wanted, files.wanted())
            found = self._address(channel).inspect()
            self._refuse(channel, found)
            if not process.is_running(expected):
                if found.kind != "ours" or found.pid in (expected, before):
                    log = process.tail(files.log)
                    raise Surroundings(
                        f"the server of {channel} ended before it was ready: {log} ({files.log})"
                    )
                expected = found.pid  # one that an earlier, killed command started was first on the port
            if found.kind == "ours" and found.pid == expected and found.health["revision"] == own:
                if refusal := refusals.believed(found.health):
                    raise Surroundings(f"{channel}: {refusal} ({files.log})")
                if has_reconciled(found.health, own) and found.health["version"] == wanted.version:
                    return expected
            if should_stop():
                raise Stopped(f"stopped before {channel} served version {wanted.version}")
            if time.monotonic() > deadline:
                log = process.tail(files.log)
                raise Surroundings(
                    f"{channel} did not serve version {wanted.version} in time: {log} ({files.log})"
                )
            time.sleep(POLL_SECONDS)

    def _undo(self, channel: Channel, own: str, before: Wanted | None, started: int | None) -> bool:
        """Let the channel serve what it served before; None: nothing, so what was started is ended.

        Only where the document is still of the revision `own`, and tell whether it is: who replaced it has
        decided otherwise.
        """
        files = self._files(channel)
        with self.lock():
            if not (is_own := files.revision() == own):
                before = None
            elif before is None:
                files.forget()
            else:
                own = files.want(before)
        if before is None:
            if started is not None and not files.revision():  # nothing is meant to be served
                process.end(started, patience_seconds=1.0)
            return is_own
        deadline = time.monotonic() + UNDO_SECONDS
        while time.monotonic() < deadline and files.revision() == own:
            found = self._address(channel).inspect()
            if found.kind == "ours" and has_reconciled(found.health, own):
                if found.pid == started:  # the one before, on the port of before, is in the way
                    self._servers(channel).end_others(but=started)
                break
            if found.kind == "nothing" and (started is None or not process.is_running(started)):
                started = self._servers(channel).start(replaces=None)  # the failure took the server with it
            time.sleep(POLL_SECONDS)
        return True

    def _arguments(self, channel: Channel) -> list[str]:
        arguments = ["--document", str(self._files(channel).document), "--releases", str(self.releases)]
        if channel == "stage":
            arguments += ["--candidates", str(self.candidates)]
        if self.token_file is not None:
            arguments += ["--token-file", str(self.token_file)]
        return [*arguments, "--name", self.name, "--host", self.host, "--port", str(self.ports[channel])]

    def _refuse(self, channel: Channel, found: Found) -> None:
        """Raise Surroundings where somebody else is on the port: a stranger, or another user's server."""
        if found.kind == "stranger":
            raise self._address(channel).taken(found)
        if found.kind == "theirs":
            raise self._servers(channel).of_another(found.pid, found.who)

    def _address(self, channel: Channel) -> Address:
        return Address(self.host, self.ports[channel], self._files(channel), self.models_root)

    def _servers(self, channel: Channel) -> Servers:
        return Servers(self._files(channel), self._arguments(channel))

    def _files(self, channel: Channel) -> ChannelFiles:
        return ChannelFiles(self.folder, channel)
