from __future__ import annotations

import io
from typing import Any

import pytest

from tasks.reporting.terminal import WIDTH, gates_table, printable, stages_table, wants_colour


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_gates_are_aligned_and_failures_explained(receipt: dict[str, Any]) -> None:
    """One line per gate; the detail of a failed gate stands below the table, wrapped, and only that."""
    lines = gates_table(receipt).splitlines()
    assert lines[:8] == [
        "judged against letters; notmnist-small was wanted and could not be had",
        "",
        "gate      measured  required",
        "────────────────────────────────────────────────────────",
        "accuracy  0.5       ≥ 0.98                FAILED",
        "auroc     1         ≥ 0.9                 passed",
        "latency   1.2       off                   off",
        "champion  –         none to compare with  not applicable",
    ]
    assert lines[8:10] == ["", "accuracy:"]
    assert lines[10].startswith("  interval 0.49 to 0.51; and so on")
    assert lines[11].startswith("  ")
    assert lines[-2:] == ["", "1 gate passed, 1 failed, 1 off, 1 not applicable"]
    assert max(map(len, lines)) <= WIDTH


def test_parts_of_a_gate_stand_below_the_table(receipt: dict[str, Any]) -> None:
    """Each comparison of the champion's gate has its figures and its own word, below each other."""
    beside = [
        ("accuracy, version 3 (production)", "+0.0012 (−0.0009 to 0.0033)", "margin 0.00568", True),
        ("accuracy, version 1 (best)", "−0.0035 (−0.0056 to −0.0014)", "margin 0.00568", False),
    ]
    parts = [dict(zip(("name", "shown", "required", "passed"), part, strict=True)) for part in beside]
    gate = {"name": "champion", "measured": 1, "shown": "1", "required": "0", "state": "failed"}
    lines = gates_table(
        receipt | {"gates": [{**gate, "detail": "worse in 1 of 2", "parts": parts}]}
    ).splitlines()
    assert lines[4:9] == [
        "champion  1         0         FAILED",
        "",
        "champion:",
        "  accuracy, version 3 (production)  +0.0012 (−0.0009 to 0.0033)   margin 0.00568  passed",
        "  accuracy, version 1 (best)        −0.0035 (−0.0056 to −0.0014)  margin 0.00568  FAILED",
    ]


def test_colours_are_only_used_when_asked_for(receipt: dict[str, Any]) -> None:
    """Plain text has no escape codes; a failure is red and said in words all the same."""
    assert "\x1b" not in gates_table(receipt)
    assert "\x1b[1;31mFAILED" in gates_table(receipt, colour=True)


def test_the_tasks_say_how_they_went() -> None:
    """Seconds stand under each other, with their sum."""
    stages = [
        {"name": "fetch-dataset-mnist", "how": "cached", "seconds": 0.02},
        {"name": "judge", "how": "computed", "seconds": 12.34},
    ]
    assert stages_table(stages).splitlines() == [
        "task                 result      time",
        "─────────────────────────────────────",
        "fetch-dataset-mnist  cached     0.0 s",
        "judge                computed  12.3 s",
        "together                       12.4 s",
    ]


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_without_no_color(
    stream: io.StringIO, environ: dict[str, str], wanted: bool
) -> None:
    """A pipe, a dumb terminal and a set NO_COLOR get plain text."""
    assert wants_colour(stream, environ) is wanted


@pytest.mark.parametrize(
    ("encoding", "text"), [("utf-8", "≥ 0.98 − é"), ("ascii", ">= 0.98 - ?"), ("latin-1", ">= 0.98 - é")]
)
def test_a_stream_gets_what_it_can_show(encoding: str, text: str) -> None:
    """An old terminal gets >= for ≥ and no error."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert printable("≥ 0.98 − é", stream) == text
