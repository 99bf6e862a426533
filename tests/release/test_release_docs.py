"""docs/release.md says what is so: its quotation and its examples are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs/release.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_saved_model_cli(released: Path) -> None:
    """TensorFlow's tool prints of a release what the page quotes."""
    tool = Path(sys.executable).with_name("saved_model_cli")
    run = subprocess.run(
        [tool, "show", "--dir", released, "--all"], capture_output=True, text=True, check=True
    )
    printed, _, _ = run.stdout.partition("The MetaGraph with tag set")
    quoted = next(block for block in blocks("") if "SignatureDefs" in block)
    assert [line.rstrip() for line in printed.strip().splitlines()] == quoted.strip().splitlines()


@pytest.mark.parametrize("example", blocks("python"), ids=["tensorflow", "litert"])
def test_examples(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str) -> None:
    """The lines for a notebook run, and answer the golden images as the release says."""
    (tmp_path / "models/mnist").mkdir(parents=True)
    (tmp_path / "models/mnist/1").symlink_to(released)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102
    expected = names["release"].expected()
    assert names["answers"].keys() == expected.keys()
    assert [int(digit) for digit in names["answers"]["class_ids"]] == expected["class_ids"].tolist()
