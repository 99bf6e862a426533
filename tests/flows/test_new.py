"""`slipway new`: the module that it writes is one that is delivered."""

from __future__ import annotations

import ast

import pytest

from tests.flows.conftest import ROOT

SCRIPT = str(ROOT / "flows" / "deliver.py")


def test_what_is_written_is_delivered(place):
    """It names the model after the file, its settings have help, and its networks train and export."""
    (place.root / "deliver.toml").unlink()  # of the built-in model
    said = place.run("-m", "flows", "new", "my_model.py").done()
    assert said.strip() == (
        "my_model.py is written; deliver it with: python flows/deliver.py --model my_model.py"
    )
    helped = place.run(SCRIPT, "--model", "my_model.py", "--help").done()
    assert "--net.filters N" in helped
    small = ("--net.steps", "20", "--concept.steps", "20", "--data.limit", "6000", "--until", "exported")
    outliers = ("--data.outliers", "glyphs", "--data.made", "[]")
    assert (
        "version 1 of my-model is exported"
        in place.run(SCRIPT, "--model", "my_model.py", *small, *outliers).done()
    )


def test_nothing_is_overwritten(place):
    """A file that is there stays, whatever it is."""
    (place.root / "mine.py").write_text("mine = 1\n")
    code, said = place.run("-m", "flows", "new", "mine.py").end()
    assert (code, said.strip()) == (2, "slipway: mine.py is there already: it stays as it is")
    assert (place.root / "mine.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize("name", ["model", "my-model.py", "1.py", "_.py"])
def test_a_name_that_no_module_can_have(place, name):
    """It is refused, and nothing is written."""
    code, said = place.run("-m", "flows", "new", name).end()
    assert code == 2
    assert said.startswith(f"slipway: {name}")
    assert not (place.root / name).exists()


def test_it_is_short_and_says_what_is_what():
    """The template is Python, and has comments for whoever begins with it."""
    text = (ROOT / "flows" / "commands" / "new_model.txt").read_text()
    ast.parse(text)
    assert text.count("#") >= 5
