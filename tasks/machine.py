"""The machine of a run, as far as it decides how quickly it computes."""

from __future__ import annotations

import platform
from pathlib import Path

from tasks.models.hardware import cores


def this_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor's model and the number of cores that may be used.

    Not the host: two of one kind measure alike, and a pod has another name each time.
    """
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    available = cores()
    return f"{told.get('model name') or platform.machine()}, {available} core{'s' * (available != 1)}"
