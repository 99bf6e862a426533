from __future__ import annotations

from tasks.reporting.markup import Markup, join, table, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    """A value cannot break out of its element or its attribute."""
    assert tag("p", "a < b & c", tag("b", '"')) == "<p>a &lt; b &amp; c<b>&quot;</b></p>"
    assert tag("td", 1, title='" onload="x') == '<td title="&quot; onload=&quot;x">1</td>'
    assert join([Markup("<i></i>"), "<i>"], None, 2.5) == "<i></i>&lt;i&gt;2.5"


def test_names_of_attributes_follow_html() -> None:
    """Python's reserved words end in an underscore; other underscores are hyphens; None is left out."""
    assert tag("th", class_="x", aria_label="y", id=None) == '<th class="x" aria-label="y"></th>'
    assert tag("meta", name="viewport", content="z") == '<meta name="viewport" content="z"/>'


def test_a_table_names_its_rows_and_columns() -> None:
    """Readers of the screen hear the heads of row and column of each cell, and the caption."""
    found = table(
        ("gate", "measured"), [("auroc", tag("td", 1, class_="figure")), ("leak", "<0>")], "The gates"
    )
    assert "<caption>The gates</caption>" in found
    assert '<th scope="col">measured</th>' in found
    assert '<tr><th scope="row">auroc</th><td class="figure">1</td></tr>' in found
    assert "<td>&lt;0&gt;</td>" in found
