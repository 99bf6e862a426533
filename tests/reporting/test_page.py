from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
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
        "50.00\N{NO-BREAK SPACE}% of 2 test rows are classified rightly",
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
        "4 taken for 9, probability 0.987, row 5",
        "an outlier with score 0.5, not flagged, row 5",
    ]


def changed(folder: Path, **content: Any) -> Path:
    """Change the verdict of a folder; a value of None takes the entry out."""
    path = folder / "verdict.json"
    verdict = json.loads(path.read_text()) | content
    path.write_text(json.dumps({name: value for name, value in verdict.items() if value is not None}))
    return folder


def test_classes_are_called_by_their_names(
    receipt: dict[str, Any], verdict_folder: Path, tmp_path: Path
) -> None:
    """In the table and with the pictures, where the verdict has names."""
    names = [*"abcdefghi", "Zürich & <co>"]
    text = write_page(tmp_path, receipt, changed(verdict_folder, class_names=names)).read_text("utf-8")
    assert 'alt="e taken for Zürich &amp; &lt;co&gt;, probability 0.987, row 5"' in text
    reader = Reader()
    reader.feed(text)
    heads = reader.text[reader.text.index("class") :]
    assert [each for each in heads if each.strip()][1:11] == names


def test_the_page_of_a_model_without_a_score(
    receipt: dict[str, Any], verdict_folder: Path, tmp_path: Path
) -> None:
    """It says so at the top, and has no section about outliers; what was classified stands as ever."""
    fact = {"index": 5, "truth": 4, "predicted": 9, "probability": 0.987}
    changed(verdict_folder, detectors={}, histograms=None, threshold=None, pictures={"mistakes": [fact]})
    without = receipt | {"primary": {"set": "", "wanted": "", "made": False}}
    text = write_page(tmp_path, without, verdict_folder).read_text("utf-8")
    assert "Judged by what it classifies: the model gives no score." in text
    assert "Out-of-distribution detection" not in text
    assert "Most familiar outliers" not in text
    assert "2 test rows are classified rightly" in text
    assert "4 taken for 9, probability 0.987, row 5" in text


def test_rows_that_are_no_pictures_are_told_in_words(
    receipt: dict[str, Any], verdict_folder: Path, tmp_path: Path
) -> None:
    """A row of one axis is no image; its facts stand in a list."""
    np.save(verdict_folder / "mistakes.npy", np.zeros((1, 12), np.float32))
    np.save(verdict_folder / "lowest-outliers.npy", np.zeros((1, 12), np.float32))
    text = write_page(tmp_path, receipt, verdict_folder).read_text("utf-8")
    assert "<img" not in text
    assert "<li>4 as 9, p 0.987</li>" in text
    assert "<li>0.5, not flagged</li>" in text


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
