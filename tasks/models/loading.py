"""TensorFlow's import, without what its native code prints at every start."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def with_tensorflow(
    make: Callable[Concatenate[Path, P], R], *arguments: P.args, **named: P.kwargs
) -> Callable[[Path], R]:
    """Give a function of a folder that loads TensorFlow and calls `make` with the folder and the rest."""

    def work(folder: Path) -> R:
        load_tensorflow()
        return make(folder, *arguments, **named)

    return work


def load_tensorflow() -> None:
    """Import TensorFlow and look for devices, quietly; to be called before a module that imports it.

    Its native libraries write a dozen lines to stderr about processors and drivers that are not there, and
    heed TF_CPP_MIN_LOG_LEVEL only after that. TF_CPP_MIN_LOG_LEVEL=0 shows them.
    """
    if "tensorflow" in sys.modules:
        return
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        import tensorflow as tf
    else:
        with native_stderr_aside():
            import tensorflow as tf

            tf.config.list_physical_devices()


@contextmanager
def native_stderr_aside() -> Iterator[None]:
    """Send what is written to file descriptor 2 to a file; show it after all when the block fails.

    What other threads log meanwhile waits for the end of the block.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside, ExitStack() as held:
        for handler in logging.getLogger().handlers:
            handler.acquire()
            held.callback(handler.release)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
