"""The runtimes that there are, by name; only the one that is asked for imports its library."""

from __future__ import annotations

from tasks.serving.runtime import Runtime


def find_runtime(name: str, *, threads: int) -> Runtime:
    """Give the runtime of that name (the document's `runtime`)."""
    if name == "litert":
        from tasks.serving.litert import LiteRT

        return LiteRT(threads)
    if name == "tensorflow":
        from tasks.serving.savedmodel import TensorFlow

        return TensorFlow(threads)
    raise ValueError(f"there is no runtime {name!r}: litert or tensorflow")
