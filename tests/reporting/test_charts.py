from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tasks.reporting import charts


def draw(**changes: object) -> ElementTree.Element:
    """Draw two sets in four bins."""
    given: dict = {
        "edges": [0.01, 0.1, 1.0, 10.0, 100.0],
        "counts": {"test": [4, 2, 0, 0], "a<b": [0, 0, 1, 8]},
        "logarithmic": True,
        "threshold": 1.0,
        "notes": {"test": "6 images", "a<b": "9 images"},
        "first": "test",
    }
    return ElementTree.fromstring(charts.histograms(**(given | changes)))  # noqa: S314


def test_the_threshold_stands_where_the_axis_says() -> None:
    """On a logarithmic axis from 0.01 to 100, 1 is in the middle."""
    (line,) = [each for each in draw().iter("line") if each.get("class") == "threshold"]
    assert float(line.get("x1", 0)) == charts.LABELS + (charts.WIDTH - charts.LABELS - charts.RIGHT) / 2


def test_each_set_is_drawn_to_its_own_height() -> None:
    """The highest bin of each set is as high as the row, and empty bins are not drawn."""
    paths = [each.get("d", "") for each in draw().iter("path")]
    heights = [[float(height) for height in re.findall(r"v-([\d.]+)", path)] for path in paths]
    assert heights == [[charts.ROW, charts.ROW / 2], [charts.ROW / 8, charts.ROW]]


def test_the_chart_can_be_read_without_seeing_it() -> None:
    """Title and description say the threshold and each set's line; names are escaped."""
    drawn = draw()
    assert drawn.get("role") == "img"
    assert drawn.findtext("desc") == "The threshold is 1. test: 6 images; a<b: 9 images."


def test_a_set_without_images_in_the_bins_is_an_empty_row() -> None:
    """Nothing is divided by zero."""
    assert [each.get("d") for each in draw(counts={"test": [0, 0, 0, 0]}).iter("path")] == [""]


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "values"),
    [
        (0.02, 300.0, True, [0.1, 1, 10, 100]),
        (0.5, 8.0, True, [0.5, 1, 2, 5]),
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.25, 0.75, False, [-0.2, 0, 0.2, 0.4, 0.6]),
    ],
)
def test_ticks_are_round(low: float, high: float, logarithmic: bool, values: list[float]) -> None:
    """Powers of ten and their halves, or steps of 1, 2 or 5."""
    assert charts.ticks(low, high, logarithmic=logarithmic) == pytest.approx(values)
