"""The receipt of a judging: what was judged, on what, against what, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from settings.errors import Surroundings
from tasks.store.files import read_json
from tasks.store.schema import SCHEMA, check_schema

RECEIPT = "receipt.json"

Outcome = Literal["promoted", "refused", "judged", "forced", "taken back", "overtaken"]
"""What came of a judging; taken back: an operator had decided against the version, overtaken: meanwhile."""

# What only the page draws stays in the verdict.
LEFT_OUT = (
    "gates",
    "own_gates",
    "passed",
    "counts",
    "primary",
    "release",
    "compared",
    "histograms",
    "pictures",
)


def write_receipt(
    folder: Path,
    *,
    name: str,
    version: int,
    digest: str,
    verdict_digest: str,
    at: str,
    outcome: Outcome,
    verdict: Mapping[str, Any],
    datasets: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    precision: Mapping[str, str],
    forced_by: str | None = None,
) -> dict[str, Any]:
    """Write receipt.json into the folder, and give its content.

    `digest` is the release's, `verdict_digest` the verdict's, `at` the time in ISO 8601, `verdict` the
    content of verdict.json. Each of the `datasets` has a `name` and whatever is known of `role`, `images`,
    `digest`, `source`, `quarantined` and `note`; each of the `stages` has `name`, `how` (computed, cached,
    unchanged) and `seconds`; `settings` are the resolved ones by section, `precision` is what that of each
    network became.
    Raises ValueError when an outcome is forced by nobody, or the reverse.
    """
    if (outcome == "forced") != (forced_by is not None):
        raise ValueError(f"the outcome is {outcome!r} and it was forced by {forced_by!r}")
    content = {
        "schema": SCHEMA,
        "name": name,
        "version": version,
        "release": {**verdict["release"], "digest": digest},
        "verdict": verdict_digest,
        "at": at,
        "outcome": outcome,
        "forced_by": forced_by,
        "primary": verdict["primary"],
        "passed": verdict["passed"],
        "counts": verdict["counts"],
        "gates": verdict["gates"],
        "compared": verdict["compared"],
        "metrics": {key: value for key, value in verdict.items() if key not in LEFT_OUT},
        "datasets": [dict(each) for each in datasets],
        "stages": [dict(each) for each in stages],
        "settings": dict(settings),
        "precision": dict(precision),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / RECEIPT).write_text(text + "\n", encoding="utf-8")
    return content


def read_receipt(folder: Path) -> dict[str, Any]:
    """Give the content of a folder's receipt; Surroundings where it is damaged, or of a newer Slipway."""
    path = folder / RECEIPT
    content = read_json(path)
    if not isinstance(content, dict):
        raise Surroundings(f"{path} is damaged (not a JSON object); remove it and run again")
    check_schema(content, str(path))
    return content
