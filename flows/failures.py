"""Errors that the user can mend: which they are, and the one line that says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from settings.errors import SlipwayError, Surroundings

ROOM = "make room; the next run goes on from what was done"
ACCESS = "this user has to be able to write there"
REMEDIES = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EROFS: ACCESS,
    errno.EACCES: ACCESS,
    errno.EPERM: ACCESS,
    errno.EIO: "the disk cannot be trusted",
    errno.ENAMETOOLONG: "name a folder with a shorter path",
    errno.ENOTDIR: ACCESS,
}


def for_user(error: BaseException) -> SlipwayError | None:
    """Give the error for the user that an error is, or stands for; None: it is a defect of the program."""
    if isinstance(error, SlipwayError):
        return error
    if isinstance(error, OSError):
        number, name = error.errno, str(error.filename or "")
    elif os.strerror(errno.ENOSPC) in str(error):  # TensorFlow has an error of its own
        number, name = errno.ENOSPC, ""
    else:
        return None
    if number not in REMEDIES:
        return None
    remedy = REMEDIES[number]
    if remedy == ACCESS and Path(name).is_relative_to(prefect_home()):
        remedy = "PREFECT_HOME names another folder for what Prefect keeps"
    return Surroundings(f"{os.strerror(number)}{f' ({name})' if name else ''}: {remedy}")


def prefect_home() -> Path:
    """Give the folder in which Prefect keeps its database and its profiles."""
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
