"""A receipt and a verdict as judging writes them, made small by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def estimate(value: float) -> dict[str, float]:
    """A value with an interval around it."""
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


@pytest.fixture
def verdict_folder(tmp_path: Path) -> Path:
    """Two test images, one of them mistaken, and an outlier that was not flagged."""
    folder = tmp_path / "verdict"
    folder.mkdir()
    fact = {"index": 5, "truth": 4, "predicted": 9, "probability": 0.987, "score": 0.5, "flagged": False}
    pictures = {"mistakes": [fact], "strangest": [], "lowest-outliers": [fact | {"truth": None}]}
    for name, facts in pictures.items():
        np.save(folder / f"{name}.npy", np.zeros((len(facts), 28, 28), np.uint8))
    separation = {name: estimate(0.9) for name in ("auroc", "aupr", "fpr95")}
    confusion = np.diag([1] + [0] * 9)
    confusion[4, 9] = 1
    content = {
        "threshold": 1.25,
        "sets": {
            "test": {"role": "test", "images": 2, "flagged": estimate(0.01)},
            "letters": {"role": "primary outliers", "images": 1, "flagged": estimate(0.99)},
        },
        "accuracy": estimate(0.5),
        "classes": [
            {"class": 0, "images": 1, "accuracy": estimate(1.0)},
            {"class": 4, "images": 1, "accuracy": estimate(0.0)},
        ],
        "confusion": confusion.tolist(),
        "detectors": {"letters": {"concept": separation, "pca": separation}},
        "latency": [{"batch": 1, "requests": 200, "median_ms": 1.234, "p99_ms": 5.0}],
        "machine": "a quick processor, 2 cores",
        "intervals": {"confidence": 0.95, "rounds": 100, "seed": 1},
        "histograms": {
            "scale": "linear",
            "edges": [0.0, 1.0, 2.0],
            "counts": {"test": [2, 0], "letters": [0, 1]},
        },
        "pictures": pictures,
    }
    (folder / "verdict.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def gates() -> list[dict[str, Any]]:
    """A gate that passed, one that failed, one that is off, one that has nothing to compare."""
    return [
        {
            "name": "accuracy",
            "measured": 0.5,
            "shown": "0.5",
            "required": "≥ 0.98",
            "state": "failed",
            "detail": "interval 0.49 to 0.51; " + "and so on " * 12,
        },
        {
            "name": "auroc",
            "measured": 1.0,
            "shown": "1",
            "required": "≥ 0.9",
            "state": "passed",
            "detail": "<letters>",
        },
        {"name": "latency", "measured": 1.2, "shown": "1.2", "required": "off", "state": "off", "detail": ""},
        {
            "name": "champion",
            "measured": None,
            "shown": "–",
            "required": "none to compare with",
            "state": "not applicable",
            "detail": "",
        },
    ]


@pytest.fixture
def receipt(gates: list[dict[str, Any]]) -> dict[str, Any]:
    """A refused version, with values that would break a page that does not escape them."""
    return {
        "name": "mnist",
        "version": 7,
        "release": {"digest": "0123abc"},
        "at": "2026-01-02T03:04:05+00:00",
        "outcome": "refused",
        "forced_by": None,
        "primary": {"set": "letters", "wanted": "notmnist-small"},
        "passed": False,
        "gates": gates,
        "compared": [{"version": 6, "statistic": "accuracy", "role": "production"}],
        "datasets": [
            {"name": "mnist", "role": "training and test", "images": 70_000, "digest": "f" * 64},
            {"name": "notmnist-small", "note": "not reached: <script>alert(1)</script> & more"},
        ],
        "stages": [{"name": "judge", "how": "computed", "seconds": 2.345}],
        "settings": {"data": {"train": "mnist", "outliers": ["letters", "glyphs"], "limit": 0}},
    }
