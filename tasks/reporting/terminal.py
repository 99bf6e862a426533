"""What a delivery prints at its end: measured against required, and which task did what."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from tasks.judging.gates import Gate, Part, State, held, summary
from tasks.judging.measures import judged_against

WIDTH = 100
GREEN, RED, BOLD, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
ASCII = str.maketrans(
    {"≥": ">=", "≤": "<=", "−": "-", "–": "-", "×": "x", "…": "...", "─": "-", "·": "-", "→": "->"}
)

Json = Mapping[str, Any]


def gates_table(receipt: Json, *, colour: bool = False) -> str:
    """Give the gates of a receipt as lines of at most 100 columns, between what it judged on and the counts.

    The parts of a gate follow it, and the detail of a failed one that has none.
    """
    gates = [Gate.from_json(gate) for gate in receipt["gates"]]
    heads = ("gate", "measured", "required")
    rows = [(gate.name, gate.shown, gate.required) for gate in gates]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [_row(heads, widths), "─" * min(WIDTH, sum(widths) + 2 * len(widths) + len("not applicable"))]
    for gate, row in zip(gates, rows, strict=True):
        lines.append(f"{_row(row, widths)}  {_verdict(gate.state, colour)}")
        if gate.parts:
            lines += _parts(gate.parts, colour)
        elif gate.failed and gate.detail:
            lines += textwrap.wrap(gate.detail, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([judged_against(receipt), "", *lines, "", summary(gates)])


def _parts(parts: Sequence[Part], colour: bool) -> list[str]:
    """Give the parts of a gate, below each other."""
    cells = [(part.name, part.shown, part.required) for part in parts]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        f"  {_row(row, widths)}  {_verdict(held(part.passed), colour)}"
        for part, row in zip(parts, cells, strict=True)
    ]


def stages_table(stages: Sequence[Json]) -> str:
    """Give each task with how its result came about and its seconds, and their sum."""
    rows = [(each["name"], each["how"], f"{each['seconds']:.1f} s") for each in stages]
    rows.append(("together", "", f"{sum(each['seconds'] for each in stages):.1f} s"))
    heads = ("task", "result", "time")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [_right_aligned(heads, widths), "─" * (sum(widths) + 2 * (len(widths) - 1))]
    return "\n".join(lines + [_right_aligned(row, widths) for row in rows])


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether colours are welcome: on a terminal, and where NO_COLOR is not set (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str, stream: TextIO) -> str:
    """Give the text in what the stream can encode: an old terminal gets >= for ≥, and ? for the rest."""
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    return text


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


def _right_aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    *others, last = cells
    return "  ".join((_row(others, widths[:-1]), last.rjust(widths[-1])))


def _verdict(state: State, colour: bool) -> str:
    match state:
        case "passed":
            return _painted(state, GREEN, colour)
        case "failed":
            return _painted("FAILED", BOLD + RED, colour)
        case _:
            return state


def _painted(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{PLAIN}" if colour else text
