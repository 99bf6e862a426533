"""The token that the model servers may ask for: a file, which servers and clients read."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from settings.errors import WrongInput

logger = logging.getLogger(__name__)

BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what may stand behind "Bearer " (RFC 6750)


def read_token(path: Path) -> str:
    """Give the token in a file, without the white space around it; WrongInput where there is none in it."""
    try:
        token = path.read_bytes().strip().decode("ascii", "replace")
    except OSError as error:
        raise WrongInput(f"the token file {path} cannot be read: {error.strerror}") from error
    if not token:
        raise WrongInput(f"the token file {path} is empty")
    if not BEARER.fullmatch(token):
        raise WrongInput(
            f"the token file {path} holds something other than one token: "
            "letters, digits and . _ ~ + / - are allowed, and = at its end"
        )
    return token


class TokenFile:
    """The token that a server asks for: that of a file, read anew when the file changes."""

    def __init__(self, path: Path) -> None:
        """Read the file; WrongInput where there is no token in it."""
        self.path = path
        self._seen = self._stamp()
        self._token = read_token(path).encode()

    def current(self) -> bytes:
        """Give the token that is asked for now; where the file is gone or damaged, the last one."""
        seen = self._stamp()
        if seen != self._seen:
            self._seen = seen
            try:
                self._token = read_token(self.path).encode()
            except WrongInput as error:
                logger.error("%s; the token of before is asked for", error)
            else:
                logger.info("the token was changed")
        return self._token

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)
