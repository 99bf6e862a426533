from __future__ import annotations

import io
from typing import Any

import pytest

from tasks.reporting.terminal import WIDTH, gates_table, printable, stages_table, wants_colour


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_gates_are_aligned_and_failures_explained(gates: list[dict[str, Any]]) -> None:
    """One line per gate; the detail of a failed gate follows, wrapped, and only that."""
    lines = gates_table(gates).splitlines()
    assert lines[0].split() == ["gate", "measured", "required"]
    assert lines[2] == "accuracy  0.5       ≥ 0.98    FAILED"
    assert lines[3].startswith("    interval 0.49 to 0.51; and so on")
    assert lines[-2] == "auroc     1         ≥ 0.9     passed"
    assert lines[-1] == "latency   1.2       off       off"
    assert max(map(len, lines)) <= WIDTH


def test_colours_are_only_used_when_asked_for(gates: list[dict[str, Any]]) -> None:
    """Plain text has no escape codes; a failure is red and said in words all the same."""
    assert "\x1b" not in gates_table(gates)
    assert "\x1b[1m\x1b[31mFAILED\x1b[0m" in gates_table(gates, colour=True)


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
