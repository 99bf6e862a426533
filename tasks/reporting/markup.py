"""HTML and SVG that cannot be broken by the values in it: all text is escaped unless it is markup itself."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


Content = str | int | float | None

VOID = {"img", "meta", "line", "rect", "path"}  # elements that have no content here


def tag(name: str, /, *content: Content | Iterable[Content], **attributes: Content) -> Markup:
    """Give an element with its content and attributes.

    An attribute `class_` is written as class, `font_size` as font-size; one that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(*content)}</{name}>")


def join(*content: Content | Iterable[Content]) -> Markup:
    """Give the parts one after the other, escaped where they are not markup."""
    return Markup("".join(_escaped(part) for part in content))


def table(
    head: Sequence[Content], rows: Iterable[Sequence[Content]], caption: str, class_: str | None = None
) -> Markup:
    """Give a table that names its columns and, in the first cell, its rows; the caption is for all readers.

    Markup of a whole cell (`<td`) is taken as it is.
    """
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", [tag("th", each, scope="col") for each in head])),
            tag("tbody", [tag("tr", _cells(row)) for row in rows]),
            class_=class_,
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _cells(row: Sequence[Content]) -> Markup:
    first, *others = row
    return join(tag("th", first, scope="row"), [_cell(each) for each in others])


def _cell(content: Content) -> Markup:
    return content if isinstance(content, Markup) and content.startswith("<td") else tag("td", content)


def _escaped(part: Content | Iterable[Content]) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return part
    if isinstance(part, str | int | float):
        return html.escape(str(part))
    return join(*part)
