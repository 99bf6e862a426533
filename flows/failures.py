"""Errors that the user can mend: which they are, and the one line that says so."""

from __future__ import annotations

import errno
import os

from settings.errors import SlipwayError, Surroundings

ROOM = "make room; the next run goes on from what was done"
ACCESS = "DATA_ROOT and MODELS_ROOT have to be folders that this user can write"
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
        number, where = error.errno, f" ({error.filename})" if error.filename else ""
    elif os.strerror(errno.ENOSPC) in str(error):  # TensorFlow has an error of its own
        number, where = errno.ENOSPC, ""
    else:
        return None
    if number not in REMEDIES:
        return None
    return Surroundings(f"{os.strerror(number)}{where}: {REMEDIES[number]}")
