from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Surroundings
from settings.hyperparameters import JudgingSettings
from tasks.judging.receipt import RECEIPT, read_receipt, write_receipt
from tasks.judging.verdict import judge
from tasks.store.schema import SCHEMA, Newer


def arguments(verdict: dict[str, Any]) -> dict[str, Any]:
    """What a delivery knows at its end."""
    return {
        "name": "mnist",
        "version": 3,
        "digest": "abc",
        "verdict_digest": "123",
        "at": "2026-01-02T03:04:05+00:00",
        "outcome": "promoted",
        "verdict": verdict,
        "datasets": [{"name": "mnist", "role": "training and test", "digest": "def"}],
        "stages": [{"name": "judge", "how": "computed", "seconds": 1.5}],
        "settings": {"judging": {"seed": 1}},
        "precision": {"classifier": "float32", "concept": "bfloat16"},
    }


def test_the_receipt_holds_what_was_decided_and_measured(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """Gates and metrics come from the verdict; what only the page draws is left out."""
    verdict = judge(tmp_path, make_case(), settings).content
    receipt = write_receipt(tmp_path, **arguments(verdict))
    assert json.loads((tmp_path / RECEIPT).read_text()) == receipt
    assert receipt["release"] == {"name": "mnist", "digest": "abc"}
    assert receipt["verdict"] == "123"
    assert receipt["gates"] == verdict["gates"]
    assert receipt["primary"] == {"set": "letters", "wanted": "letters", "made": False}
    assert receipt["passed"] is True
    assert receipt["counts"] == {"passed": 8, "failed": 0, "off": 1, "not applicable": 1}
    assert receipt["precision"] == {"classifier": "float32", "concept": "bfloat16"}
    assert receipt["metrics"]["accuracy"] == verdict["accuracy"]
    assert receipt["metrics"]["detectors"]["letters"]["concept"]["auroc"]["value"] == 1.0
    assert not {"histograms", "pictures", "gates"} & receipt["metrics"].keys()
    assert (receipt["datasets"][0]["digest"], receipt["stages"][0]["seconds"]) == ("def", 1.5)


def test_force_has_a_name(make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path) -> None:
    """Who forced a promotion is written down, and only where it was forced."""
    given = arguments(dict(judge(tmp_path, make_case(), settings).content))
    forced = write_receipt(tmp_path, **(given | {"outcome": "forced", "forced_by": "ada@host"}))
    assert forced["forced_by"] == "ada@host"
    with pytest.raises(ValueError, match="forced by None"):
        write_receipt(tmp_path, **(given | {"outcome": "forced"}))
    with pytest.raises(ValueError, match="'promoted' and it was forced by 'ada'"):
        write_receipt(tmp_path, **(given | {"forced_by": "ada"}))


def test_a_receipt_says_its_schema(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """What is read back is what was written; one of a newer version, or none, is refused by name."""
    receipt = write_receipt(tmp_path, **arguments(dict(judge(tmp_path, make_case(), settings).content)))
    assert receipt["schema"] == SCHEMA
    assert read_receipt(tmp_path) == receipt
    (tmp_path / RECEIPT).write_text(json.dumps(receipt | {"schema": SCHEMA + 1}))
    with pytest.raises(Newer, match=r"receipt\.json was written by a newer Slipway .*: upgrade"):
        read_receipt(tmp_path)
    (tmp_path / RECEIPT).write_text("[]")
    with pytest.raises(Surroundings, match=r"receipt\.json is damaged"):
        read_receipt(tmp_path)
