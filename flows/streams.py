"""Standard streams that are closed, broken or full: none of them stops a command at its work.

A stream that was closed is opened on /dev/null, so that no other file gets its number. Who reads no further
(`slipway history | head -1`) ends nothing, and what cannot be said is not said.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDOUT, STDERR = 1, 2


class Tolerant(io.FileIO):
    """A stream that gives up where it cannot be written; `lost` then says why, if somebody still reads."""

    lost = ""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write; after an error all goes to /dev/null, what is still in buffers at the exit too."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise
            if error.errno != errno.EPIPE:
                self.lost = error.strerror or str(error)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def open_streams() -> Tolerant:
    """Make the standard streams such that writing to them harms nothing; give what is below stdout."""
    for number in (0, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    out, err = (Tolerant(number, "wb", closefd=False) for number in (STDOUT, STDERR))
    # In the encodings that Python chose; a stream that was closed has none.
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(out), getattr(sys.stdout, "encoding", "utf-8"), line_buffering=out.isatty()
    )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(err),
        getattr(sys.stderr, "encoding", "utf-8"),
        "backslashreplace",
        line_buffering=True,
    )
    return out
