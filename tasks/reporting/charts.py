"""Charts as inline SVG; their colours are the page's, so they follow its light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tasks.reporting.markup import Markup, tag

WIDTH = 880
LABELS = 206  # width of the names at the left
RIGHT = 24
ROW = 64  # height of the bars of one set
GAP = 18
TOP = 34  # for the threshold's label
BOTTOM = 44  # for the axis


def histograms(
    edges: Sequence[float],
    counts: Mapping[str, Sequence[int]],
    *,
    logarithmic: bool,
    threshold: float,
    notes: Mapping[str, str],
    first: str,
) -> Markup:
    """Draw one histogram per set under each other on one axis, with the threshold across all of them.

    `counts` has one number per bin between two of the `edges`; each set is scaled to its own highest bin.
    `notes` are a line of text per set, `first` is the set that is drawn in the colour of the test images.
    """
    plot = WIDTH - LABELS - RIGHT
    height = TOP + len(counts) * (ROW + GAP) + BOTTOM

    def x_of(value: float) -> float:
        low, high, at = edges[0], edges[-1], value
        if logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return LABELS + plot * (at - low) / (high - low)

    axis_y = height - BOTTOM
    drawn: list[Markup] = []
    for value in ticks(edges[0], edges[-1], logarithmic=logarithmic):
        x = _round(x_of(value))
        drawn.append(tag("line", x1=x, x2=x, y1=TOP, y2=axis_y, class_="grid"))
        drawn.append(tag("text", f"{value:g}", x=x, y=axis_y + 18, text_anchor="middle", class_="tick"))
    for row, (name, bins) in enumerate(counts.items()):
        base = TOP + row * (ROW + GAP) + ROW
        highest = max(*bins, 1)
        path = "".join(
            f"M{_round(x_of(left))} {base}v{_round(-ROW * count / highest)}H{_round(x_of(right))}V{base}Z"
            for count, left, right in zip(bins, edges, edges[1:], strict=False)
            if count
        )
        drawn.append(tag("path", d=path, class_="bars test" if name == first else "bars outliers"))
        drawn.append(tag("line", x1=LABELS, x2=WIDTH - RIGHT, y1=base, y2=base, class_="axis"))
        drawn.append(tag("text", name, x=0, y=base - 22, class_="name"))
        drawn.append(tag("text", notes.get(name, ""), x=0, y=base - 5, class_="tick"))
    x = _round(x_of(threshold))
    side = "end" if x > WIDTH - 150 else "start"
    drawn += [
        tag("line", x1=x, x2=x, y1=TOP - 10, y2=axis_y, class_="threshold"),
        tag(
            "text",
            f"threshold {threshold:.4g}",
            x=x + (-6 if side == "end" else 6),
            y=TOP - 14,
            text_anchor=side,
            class_="name",
        ),
        tag(
            "text",
            "score" + (", logarithmic" if logarithmic else ""),
            x=LABELS + plot / 2,
            y=height - 6,
            text_anchor="middle",
            class_="tick",
        ),
    ]
    told = "; ".join(f"{name}: {notes.get(name, '')}" for name in counts)
    return tag(
        "svg",
        tag("title", "Histograms of the score, one per set"),
        tag("desc", f"The threshold is {threshold:.4g}. {told}."),
        drawn,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        class_="chart",
    )


def ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    """Give round values between low and high: powers of ten and their halves, or about six equal steps."""
    if logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if len(powers) <= 3 else (1,)
        values = [float(f"{step}e{power}") for power in powers for step in steps]
        return [value for value in values if low <= value <= high]
    step = 10 ** math.floor(math.log10((high - low) / 6))
    step *= next((by for by in (1, 2, 5) if (high - low) / (step * by) <= 8), 10)
    return [round(at * step, 12) for at in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _round(value: float) -> float:
    return round(value, 1)
