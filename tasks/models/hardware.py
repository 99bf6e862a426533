"""What of the machine decides how a training computes: cores, threads and the type of its products."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from settings.errors import WrongInput

Products = Literal["bfloat16", "float32"]
Precision = Literal["auto", "bfloat16", "float32"]

logger = logging.getLogger(__name__)

HIDING = "ONEDNN_MAX_CPU_ISA"  # hides instructions of the processor from oneDNN

_configuring = threading.Lock()


def choose_products(precision: Precision) -> Products:
    """Give the type of the products that a setting asks for; `auto` leaves it to the processor.

    Raises WrongInput for bfloat16 where oneDNN would abort the process.
    """
    if precision == "auto":
        return products()
    if precision == "bfloat16" and HIDING in os.environ:
        raise WrongInput(
            f"precision bfloat16 does not go with {HIDING}={os.environ[HIDING]}: unset the variable, "
            "or set precision to float32"
        )
    return precision


def products(cpuinfo: Path = Path("/proc/cpuinfo"), environ: Mapping[str, str] | None = None) -> Products:
    """The quicker type for matrix products on this processor.

    bfloat16 without instructions for it is three times slower than float32, and oneDNN aborts the process
    when ONEDNN_MAX_CPU_ISA hides instructions that TensorFlow has seen.
    """
    environ = os.environ if environ is None else environ
    if HIDING in environ or not cpuinfo.exists():
        return "float32"
    for line in cpuinfo.read_text(errors="replace").splitlines():
        if line.startswith("flags"):
            flags = set(line.split())
            return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"
    return "float32"


def cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores that this process may use, by its affinity and its control group's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    if cgroup.exists():
        quota, _, period = cgroup.read_text().strip().partition(" ")
        if quota != "max":
            allowed = min(allowed, int(quota) // int(period))
    return max(1, allowed)


def configure_threads(*, side_by_side: bool) -> None:
    """Gives TensorFlow two threads between operations and shares the cores among them.

    Where a step has two chains of operations `side_by_side`, two threads within one operation gain less; else
    each operation has all cores. TensorFlow takes this only before its first use in the process, so whatever
    used it earlier has decided, at the price of speed alone; what uses it later (the export, a parity check)
    is too short to lose by it.
    """
    import tensorflow as tf

    available = cores()
    with _configuring:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(min(2, available))
            within = max(1, available // 2) if side_by_side else available
            tf.config.threading.set_intra_op_parallelism_threads(within)
        except RuntimeError:
            logger.debug("TensorFlow runs already: its threads stay as they are")
