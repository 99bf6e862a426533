"""What a delivery prints at its end: measured against required, and which task did what."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tasks.judging.gates import Gate, State, held, summary
from tasks.judging.measures import judged_against

WIDTH = 100
STYLES: Mapping[str, str] = {"passed": "green", "failed": "bold red"}
ASCII = str.maketrans(
    {"≥": ">=", "≤": "<=", "−": "-", "–": "-", "×": "x", "…": "...", "─": "-", "·": "-", "→": "->"}
)

Json = Mapping[str, Any]


def gates_table(receipt: Json, *, colour: bool = False) -> str:
    """Give the gates of a receipt as lines of at most 100 columns, between what it judged on and the counts.

    Below the table stand the parts of each gate that has some, and the detail of a failed one without.
    """
    gates = [Gate.from_json(gate) for gate in receipt["gates"]]
    table = _table("gate", "measured", "required", "")
    below: list[RenderableType] = []
    for gate in gates:
        table.add_row(gate.name, gate.shown, gate.required, _word(gate.state))
        if gate.parts:
            parts = _table("part", "", "", "", heads_shown=False)
            for part in gate.parts:
                parts.add_row(part.name, part.shown, part.required, _word(held(part.passed)))
            below += ["", f"{gate.name}:", Padding(parts, (0, 0, 0, 2))]
        elif gate.failed and gate.detail:
            below += ["", f"{gate.name}:", Padding(Text(gate.detail), (0, 0, 0, 2))]
    return _drawn(judged_against(receipt), "", table, *below, "", summary(gates), colour=colour)


def stages_table(stages: Sequence[Json]) -> str:
    """Give each task with how its result came about and its seconds, and their sum."""
    table = _table("task", "result", "time")
    table.columns[-1].justify = "right"
    for each in stages:
        table.add_row(each["name"], each["how"], f"{each['seconds']:.1f} s")
    table.add_row("together", "", f"{sum(each['seconds'] for each in stages):.1f} s")
    return _drawn(table, colour=False)


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


def _table(*heads: str, heads_shown: bool = True) -> Table:
    table = Table(
        *heads,
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # the box adds a space between two columns
        show_edge=False,
        pad_edge=False,
        show_header=heads_shown,
        header_style="",
    )
    for column in table.columns:
        column.overflow = "fold"
    return table


def _word(state: State) -> Text:
    """Give the word for a state, which can be told without its colour."""
    return Text("FAILED" if state == "failed" else state, style=STYLES.get(state, ""))


def _drawn(*parts: RenderableType, colour: bool) -> str:
    """Give the parts as text, below each other."""
    drawn = io.StringIO()
    console = Console(
        file=drawn,
        width=WIDTH,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines())
