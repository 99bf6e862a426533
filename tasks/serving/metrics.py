"""What the server counts, and knows of itself, in the text format of Prometheus.

Source: Prometheus, Exposition formats, text-based format 0.0.4; for the process proc(5).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path

from tasks.serving.engine import Answer
from tasks.serving.keeper import Keeper

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# In seconds, from a single row to the largest request.
BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})  # in the values of labels


class Metrics:
    """The counters since the start; only the event loop touches them, so they need no lock."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()  # by status
        self.buckets = [0] * (len(BOUNDS) + 1)  # the last one for what takes longer than every bound
        self.seconds = 0.0
        self.rows = 0
        self.inliers = 0
        self.outliers = 0
        self._booted = _booted()

    def count(self, answer: Answer, seconds: float) -> None:
        """Count an answer of predict, which took so long."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.rows += answer.rows
        self.inliers += answer.inliers
        self.outliers += answer.outliers

    def render(self, name: str, keeper: Keeper) -> str:
        """Give the text of all metrics of the server of the model `name`."""
        parts = (*self._counted(), *_of_model(name, keeper), *_of_process(self._booted))
        return "".join(parts)

    def _counted(self) -> Iterator[str]:
        by_code = {_labels(code=code): count for code, count in sorted(self.requests.items())}
        yield _family("slipway_requests_total", "counter", "Requests that were answered.", by_code)
        bounds, counts = (*BOUNDS, "+Inf"), [*accumulate(self.buckets)]
        histogram: dict[str, float] = {
            f"_bucket{_labels(le=bound)}": count for bound, count in zip(bounds, counts, strict=True)
        }
        histogram |= {"_sum": self.seconds, "_count": counts[-1]}
        yield _family("slipway_request_seconds", "histogram", "Time to make an answer of predict.", histogram)
        yield _family("slipway_images_total", "counter", "Images that were answered.", {"": self.rows})
        yield _family("slipway_inliers_total", "counter", "Images in distribution.", {"": self.inliers})
        yield _family("slipway_outliers_total", "counter", "Images out of distribution.", {"": self.outliers})


def _of_model(name: str, keeper: Keeper) -> Iterator[str]:
    yield _gauge("slipway_model_ready", "Whether a version is served.", int(keeper.ready))
    yield _gauge("slipway_document_error", "Whether the document cannot be obeyed.", int(bool(keeper.error)))
    yield _gauge(
        "slipway_fallback",
        "Whether the version before is served, in place of one that cannot be loaded.",
        int(keeper.fallback),
    )
    if loaded := keeper.loaded:
        labels = _labels(name=name, version=loaded.version, runtime=loaded.runtime)
        yield _gauge("slipway_model_info", "The version that is served.", 1, labels)
        yield _gauge("slipway_model_loaded_timestamp_seconds", "When it was loaded.", loaded.since)
        if loaded.false_positive_rate is not None:
            yield _gauge(
                "slipway_model_false_positive_rate",
                "Share of images in distribution that its threshold may flag.",
                loaded.false_positive_rate,
            )


def _of_process(booted: int) -> Iterator[str]:
    # The command's name, in parentheses, may hold anything; from the state on, field 3, all is plain.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    user, system, started, pages = (int(fields[number - 3]) for number in (14, 15, 22, 24))
    ticks = os.sysconf("SC_CLK_TCK")
    cpu = {"": (user + system) / ticks}
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    yield _family("process_cpu_seconds_total", "counter", "Processor time since the start.", cpu)
    yield _gauge("process_start_time_seconds", "When the process started.", booted + started / ticks)
    yield _gauge("process_resident_memory_bytes", "Resident memory.", resident)


def _booted() -> int:
    """Give when the machine started, in seconds since 1970."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def _gauge(name: str, meaning: str, value: float, labels: str = "") -> str:
    return _family(name, "gauge", meaning, {labels: value})


def _family(name: str, kind: str, meaning: str, samples: Mapping[str, float]) -> str:
    """Give the lines of a metric; each sample is named by what follows the metric's name."""
    lines = [f"# HELP {name} {meaning}\n", f"# TYPE {name} {kind}\n"]
    lines += [f"{name}{suffix} {value}\n" for suffix, value in samples.items()]
    return "".join(lines)


def _labels(**labels: object) -> str:
    escaped = {name: str(label).translate(ESCAPES) for name, label in labels.items()}
    return "{" + ",".join(f'{name}="{label}"' for name, label in escaped.items()) + "}"
