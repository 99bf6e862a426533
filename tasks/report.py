"""report: the receipt and the page of a judging, written once for each verdict and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from tasks.fetch import Gathered
from tasks.judging.receipt import RECEIPT, Outcome, read_receipt, write_receipt
from tasks.judging.verdict import load_verdict
from tasks.release.reader import Release
from tasks.store.artifacts import Artifact
from tasks.store.files import aside, make_folder, publish, write_json
from tasks.timeline import Timeline
from tasks.workplace import Workplace

REQUEST = "request.json"  # a request that asks the model about one row


class Reported(BaseModel):
    """The folder with receipt.json, report.html and request.json."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    changed: bool  # False: this verdict with this outcome had its receipt already


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
def report(
    place: Workplace,
    version: int,
    release: Artifact,
    verdict: Artifact,
    outcome: Outcome,
    gathered: Gathered,
    settings: Mapping[str, Any],
    timeline: Timeline,
) -> Reported:
    """Write down a judging and what came of it."""
    from tasks.reporting.page import REPORT, write_page

    written = receipts(place.registry.receipts, version)
    for folder in reversed(written):
        if not all((folder / name).is_file() for name in (RECEIPT, REPORT, REQUEST)):
            continue
        receipt = read_receipt(folder)
        if (receipt["verdict"], receipt["outcome"]) == (verdict.digest, outcome):
            return Reported(folder=folder, changed=False)
    number = 1 + (int(written[-1].name.partition("-")[2]) if written else 0)
    target = place.registry.receipts / f"{version}-{number}"
    make_folder(target.parent)
    described = Release(place.registry.folder(version))
    temporary = aside(target)
    temporary.mkdir()
    try:
        receipt = write_receipt(
            temporary,
            name=place.registry.name,
            version=version,
            digest=release.digest,
            verdict_digest=verdict.digest,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            outcome=outcome,
            verdict=load_verdict(place.store.folder(verdict)).content,
            datasets=datasets(place, gathered),
            stages=[asdict(entry) for entry in timeline.entries],
            settings=settings,
            forced_by=place.who if outcome == "forced" else None,
            precision=described.manifest.get("precision", {}),  # unknown of a release of before
        )
        write_page(temporary, receipt, place.store.folder(verdict))
        golden = described.golden["imgs"]
        write_json(temporary / REQUEST, {"instances": golden[:1].round(4).astype(float).tolist()})
        publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Reported(folder=target, changed=True)


def receipts(home: Path, version: int) -> list[Path]:
    """Give the folders of a version's receipts, oldest first."""
    found = [path for path in home.glob(f"{version}-*") if path.name.partition("-")[2].isdecimal()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


def datasets(place: Workplace, gathered: Gathered) -> list[dict[str, Any]]:
    """Give what the receipt tells of each dataset: its role, digest, source and what was left out of it."""
    made = {gathered.dataset.kind.partition("/")[2]: gathered.dataset} | dict(gathered.sets)
    roles = {gathered.primary: "primary outliers"}
    rows = []
    for name, artifact in made.items():
        notes = place.store.record(artifact).notes
        rows.append(
            {
                "name": name,
                "title": notes.get("title", name),
                "role": "training and test" if artifact == gathered.dataset else roles.get(name, "outliers"),
                "images": sum(notes["images"].values()),
                "digest": artifact.digest,
                "source": notes["source"],
                "quarantined": len(notes["quarantined"]),
            }
        )
    return rows
