"""A delivery that is refused, as a user sees it: the script with the preset of the source project."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.flows.conftest import ROOT

DELIVER, PRESET = str(ROOT / "flows" / "deliver.py"), str(ROOT / "presets" / "source.toml")

SMALL = {
    "--data.limit": "3000",
    "--data.held_out": "500",
    "--data.outliers": "fashion-mnist",
    "--data.made": "blank",
    "--classifier.steps": "200",
    "--concept.steps": "200",
    "--judging.bootstrap_rounds": "50",
}


def last_flow_run(api: str) -> dict[str, Any]:
    """Give what the Prefect server knows of the flow run that was started last."""
    asked = {"sort": "START_TIME_DESC", "limit": 1}
    (run,) = httpx.post(f"{api}/flow_runs/filter", json=asked).raise_for_status().json()
    return dict(run)


@pytest.mark.slow
def test_the_preset_of_the_source_is_refused(delivered, prefect_api):
    """One line names each gate that failed, measured and required; production is as it was.

    The table of the gates is printed all the same, and the flow run in Prefect has failed with that line.
    """
    arguments = [part for option in SMALL.items() for part in option]
    run = delivered.run(DELIVER, "--config", PRESET, *arguments)
    line = run.refused(1).removeprefix("slipway: ")
    assert re.match(r"version 2 is not promoted: accuracy: measured 0\.\d+, required ≥ 0\.98; ", line)
    assert re.search(r"; auroc: measured 0\.\d+, required ≥ 0\.9995(;|$)", line)
    rows = dict(re.findall(r"^(\S+) +\S.*  (passed|FAILED|off)$", run.said, re.MULTILINE))
    assert (rows["accuracy"], rows["auroc"], rows["finite"]) == ("FAILED", "FAILED", "passed")
    flow_run = last_flow_run(prefect_api)
    assert (flow_run["name"], flow_run["state"]["type"]) == ("deliver-mnist", "FAILED")
    assert line in flow_run["state"]["message"]
    assert run.said.count(line) == 1, "it is said once, at the end"
    records = [path.read_text() for path in (delivered.models / "records").iterdir()]
    assert any(line in json.loads(record).get("message", "") for record in records)  # no pickles
    assert delivered.served_version() == 1
    assert ("promoted", 2) not in delivered.events()
