"""The model server processes of one channel on this machine: started, recognised and ended."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from settings.errors import Surroundings
from tasks.channels import process
from tasks.channels.files import ChannelFiles
from tasks.channels.fingerprint import ROOT, fingerprint
from tasks.channels.inspection import Found, servers_of

logger = logging.getLogger(__name__)

END_SECONDS = 15.0  # above the server's own bound for what is in flight


@dataclass(frozen=True)
class Servers:
    """The servers of the channel with those files; `arguments` are those of `python -m tasks.serving`."""

    files: ChannelFiles
    arguments: Sequence[str]

    def start(self, *, replaces: int | None) -> int:
        """Start a server; one that `replaces` another loads first, and then takes the port over."""
        channel, start = self.files.channel, secrets.token_hex(8)
        command = [sys.executable, "-P", "-m", "tasks.serving", *self.arguments, "--start", start]
        if replaces is not None:
            command += ["--replaces", str(replaces)]
        variables = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        pid = process.start(command, log=self.files.log, variables=variables)
        self.files.write_note({"pid": pid, "start": start, "fingerprint": fingerprint(self.arguments)})
        logger.info("the server of %s is process %d, its log %s", channel, pid, self.files.log)
        return pid

    def is_current(self, found: Found) -> bool:
        """Tell whether a server that was found is the one that was started last, by this code and so."""
        note = self.files.read_note()
        same_start = note.get("start") == found.health["start"]
        return same_start and note.get("fingerprint") == fingerprint(self.arguments)

    def pids(self) -> list[int]:
        """Give the channel's servers on all ports; Surroundings where one of them is another user's."""
        servers = servers_of(self.files.document)
        for pid in servers:
            if user := process.other_user_of(pid):
                raise self.of_another(pid, user)
        return servers

    def of_another(self, pid: int, user: str) -> Surroundings:
        """Say that a server is another user's."""
        return Surroundings(
            f"{self.files.channel} of {self.files.folder} is served by process {pid} of the user {user}: do "
            f"this as {user} (sudo -u {user} …), or set MODELS_ROOT to a folder of your own"
        )

    def end_others(self, *, but: int | None) -> None:
        """End all servers `but` one: whoever changes the channel's port, or is killed, leaves others."""
        self.end(pid for pid in self.pids() if pid != but)

    def end(self, pids: Iterable[int]) -> None:
        """End servers, and wait until what is in flight is answered."""
        for pid in pids:
            process.end(pid, patience_seconds=END_SECONDS)
            logger.info("a server of %s (process %d) has ended", self.files.channel, pid)
