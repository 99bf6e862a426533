"""What the largest bodies cost in memory, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.serving.limits import MEMORY_PER_BYTE

PREDICT = "/v1/models/mnist:predict"
MIB = 1024 * 1024
IMAGE = json.dumps([[0.5] * 28] * 28, separators=(",", ":")).encode()
BLANK = json.dumps([[0] * 28] * 28, separators=(",", ":")).encode()


def memory(pid: int, name: str) -> int:
    """Give a line of the process's status in bytes: VmRSS, or VmHWM, its peak since that was cleared."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def filled(element: bytes, *, count: int = 30 * MIB, end: bytes = b"]}") -> bytes:
    count = min(count, 30 * MIB // (len(element) + 1))
    return b'{"instances":[' + b",".join([element] * count) + end


BODIES = {
    "zeros": (filled(b"0"), 400),
    "empty lists": (filled(b"[]"), 400),
    "strings": (filled(b'"ab"'), 400),
    "images": (filled(IMAGE, count=9_999), 200),
    "blank images": (filled(BLANK, count=10_000), 200),
    "named images": (filled(b'{"imgs":%s}' % IMAGE, count=9_900), 200),
    "the last one wrong": (filled(IMAGE, end=b",3]}"), 400),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_an_allowed_body_costs_a_bounded_multiple_of_its_bytes(start, body, status):
    """From before its first byte to its answer, the process grows by no more than is stated."""
    server = start()
    pid = server.process.pid
    assert server.predict([[[0.5] * 28] * 28] * 500).status_code == 200  # what is made once is made
    before = memory(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    response = server.http.post(PREDICT, content=body, timeout=120)
    assert response.status_code == status, response.text[:300]
    assert memory(pid, "VmHWM") - before < MEMORY_PER_BYTE * len(body)


def test_refused_bodies_do_not_add_up(start):
    """However many come one after the other, the process grows by no more than one may cost."""
    server = start()
    pid = server.process.pid
    assert server.predict([[[0.5] * 28] * 28] * 500).status_code == 200
    before = memory(pid, "VmRSS")
    body, _ = BODIES["zeros"]
    for _ in range(25):
        assert server.http.post(PREDICT, content=body, timeout=120).status_code == 400
        assert memory(pid, "VmRSS") - before < MEMORY_PER_BYTE * len(body)
