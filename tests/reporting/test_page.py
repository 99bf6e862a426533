from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks.reporting.page import REPORT, write_page


class Reader(HTMLParser):
    """Collects text and attributes, and checks that every element is closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def page(receipt: dict[str, Any], verdict_folder: Path, tmp_path: Path) -> str:
    """The page of a refused version."""
    path = write_page(tmp_path, receipt, verdict_folder)
    assert path == tmp_path / REPORT
    return path.read_text(encoding="utf-8")


@pytest.fixture
def read(page: str) -> Reader:
    """The page as a browser takes it apart."""
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


def test_the_page_says_what_came_of_it(read: Reader) -> None:
    """Outcome, failed gates and champion stand at the top, measured and required in the table."""
    text = " ".join(read.text)
    for said in (
        "mnist version 7",
        "Judged against letters; notmnist-small was wanted and could not be had.",
        "Refused: production is as it was",
        "1 of 4 gates failed: accuracy (1 gate passed, 1 failed, 1 off, 1 not applicable).",
        "Compared with version 6.",
        "≥ 0.98",
        "50.00\N{NO-BREAK SPACE}% of 2 test images are classified rightly",
        "threshold 1.25",
        "1.23 ms",
        "70,000",
        "letters, glyphs",
        "There are none.",
        "2.3 s",
    ):
        assert said in text, said


def test_the_page_stands_alone(page: str, read: Reader) -> None:
    """No script, and no address but those of the images within the page."""
    assert not re.findall(r"<script|<link|@import|url\(|https?:", page)
    assert {name for name, _ in read.tags}.isdisjoint({"script", "link", "iframe", "object"})
    addresses = [attributes["src"] for _, attributes in read.tags if "src" in attributes]
    assert addresses
    assert all(str(address).startswith("data:image/png;base64,") for address in addresses)


def test_values_cannot_break_the_page(page: str, read: Reader) -> None:
    """What a source or a detail says is text, whatever it holds."""
    assert "not reached: <script>alert(1)</script> & more" in read.text
    assert "&lt;letters&gt;" in page


def test_images_have_texts_in_their_place(read: Reader) -> None:
    """Each image says what it shows; a figure without a known truth is an outlier."""
    texts = [attributes["alt"] for name, attributes in read.tags if name == "img"]
    assert texts == [
        "a 4 taken for a 9, probability 0.987, image 5",
        "an outlier with score 0.5, not flagged, image 5",
    ]


def test_a_gate_that_is_off_is_not_shown_as_passed(read: Reader) -> None:
    """Four gates, four words."""
    words = [text for text in read.text if text in ("passed", "failed", "off", "not applicable")]
    assert words == ["failed", "passed", "off", "off", "not applicable"]  # one off is what is required


def test_force_is_named(receipt: dict[str, Any], verdict_folder: Path, tmp_path: Path) -> None:
    """A forced promotion says by whom."""
    forced = receipt | {"outcome": "forced", "forced_by": "ada@host", "compared": []}
    text = write_page(tmp_path, forced, verdict_folder).read_text(encoding="utf-8")
    assert "Promoted by force by ada@host" in text
    assert "There was no version to compare with." in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("taken back", "Not promoted again: an operator had taken it back"),
        ("overtaken", "Not promoted: production was changed meanwhile"),
    ],
)
def test_an_operator_s_decision_is_named(outcome, words, receipt, verdict_folder, tmp_path):
    """It is no good end, though every gate passed."""
    gates = [gate | {"state": "passed"} for gate in receipt["gates"]]
    overruled = receipt | {"outcome": outcome, "gates": gates, "passed": True}
    text = write_page(tmp_path, overruled, verdict_folder).read_text(encoding="utf-8")
    assert words in text
    assert 'class="outcome bad"' in text
