"""How a machine is named that measures latencies."""

from __future__ import annotations

import platform
import re

from tasks.machine import this_machine


def test_the_processor_and_the_cores_are_named(tmp_path):
    """The model once, however many cores have it."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: Quick 9000 @ 3:1\nprocessor\t: 1\nmodel name\t: Quick 9000 @ 3:1\n"
    )
    assert re.fullmatch(r"Quick 9000 @ 3:1, (1 core|\d+ cores)", this_machine(cpuinfo))


def test_without_a_model_the_architecture_is_named(tmp_path):
    """Processors of ARM have no model's name there."""
    assert this_machine(tmp_path / "none").startswith(f"{platform.machine()}, ")
