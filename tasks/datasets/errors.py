"""What can go wrong between a dataset's name and its arrays."""

from __future__ import annotations

from settings.errors import Surroundings, WrongInput


class Refused(WrongInput):
    """A file is not what it should be; the message names the file and what is wrong.

    `digest` is that of the file as it is, where the digest is what is wrong.
    """

    def __init__(self, message: str, digest: str = "") -> None:
        super().__init__(message)
        self.digest = digest


class Unavailable(Exception):  # noqa: N818
    """One source cannot serve; `transient` says that asking again can help."""

    def __init__(self, reason: str, transient: bool = False) -> None:
        super().__init__(reason)
        self.transient = transient


class Unreachable(Surroundings):
    """No source serves a dataset; the message names each that was tried and why it does not.

    `transient` says that a retry can help: a time-out, a server's error, a broken connection.
    """

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
