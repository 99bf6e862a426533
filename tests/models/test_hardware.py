"""What is read from the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from settings.errors import WrongInput
from tasks.models import hardware
from tasks.models.hardware import choose_products, cores, products


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_products_are_bfloat16_where_the_processor_has_instructions_for_it(tmp_path: Path, flag: str) -> None:
    """Either of the two sets of instructions will do."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu avx2 {flag} sse\n")
    assert products(cpuinfo, {}) == "bfloat16"


def test_products_are_float32_elsewhere(tmp_path: Path) -> None:
    """AVX-512 without bfloat16, another architecture, and no such file mean float32."""
    cpuinfo = tmp_path / "cpuinfo"
    assert products(cpuinfo, {}) == "float32"
    cpuinfo.write_text("flags\t\t: fpu avx2 avx512f avx512_vnni\n")
    assert products(cpuinfo, {}) == "float32"
    cpuinfo.write_text("Features\t: fp asimd bf16\n")
    assert products(cpuinfo, {}) == "float32"


def test_products_are_float32_when_instructions_are_hidden(tmp_path: Path) -> None:
    """With ONEDNN_MAX_CPU_ISA, products in bfloat16 would abort the process."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: avx512_bf16\n")
    assert products(cpuinfo, {"ONEDNN_MAX_CPU_ISA": "AVX2"}) == "float32"


@pytest.mark.parametrize(
    ("limit", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)]
)
def test_cores_heed_the_quota_of_the_container(tmp_path: Path, limit: str, expected: int | None) -> None:
    """A quota of one core is one core, half a core still one, and no quota all that the process may use."""
    quota = tmp_path / "cpu.max"
    quota.write_text(f"{limit}\n")
    assert cores(quota) == (expected or len(os.sched_getaffinity(0)))
    assert cores(tmp_path / "none") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("found", ["float32", "bfloat16"])
def test_the_setting_is_over_the_processor(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set holds on every processor; only auto takes what this one is good at."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(hardware, "products", lambda: found)
    assert [choose_products(each) for each in ("auto", "float32", "bfloat16")] == [
        found,
        "float32",
        "bfloat16",
    ]


def test_bfloat16_is_refused_where_it_would_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """With instructions hidden from oneDNN, the variable is named with the ways out; float32 works."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert choose_products("auto") == choose_products("float32") == "float32"
    with pytest.raises(WrongInput, match="ONEDNN_MAX_CPU_ISA=AVX2: unset the variable, or set precision"):
        choose_products("bfloat16")
