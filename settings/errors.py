"""The errors that a user is meant to read: one line that names the value and the remedy.

Each carries the exit code of the command that it ends.
"""

from __future__ import annotations

from typing import Any


class SlipwayError(Exception):
    """An error with a message for the user; the command prints it without a traceback."""

    exit_code = 3


class NotPromoted(SlipwayError):  # noqa: N818
    """The version does not go into production, in which nothing was changed for it."""

    exit_code = 1

    def __init__(self, message: str, outcome: Any = None) -> None:
        super().__init__(message)
        self.outcome = outcome  # what the delivery did until then


class GateFailed(NotPromoted):
    """The candidate did not pass a gate."""


class Overruled(NotPromoted):
    """An operator has decided otherwise: took the version back, or changed production meanwhile."""


class WrongInput(SlipwayError):  # noqa: N818
    """A setting, argument or file of the user is not what it has to be."""

    exit_code = 2


class Surroundings(SlipwayError):  # noqa: N818
    """The network, a disk, a port or a cluster does not do what is needed."""

    exit_code = 3


class Stopped(SlipwayError):  # noqa: N818
    """The run was asked to stop, and did."""

    exit_code = 130
