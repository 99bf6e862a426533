"""The alerts and the dashboard of the kustomize component ask for what the model server gives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/metrics.md"
FOLDER = ROOT / "deployments/kubernetes/components/monitoring"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
SPOKEN = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool"}

EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for group in RULES["spec"]["groups"] for rule in group["rules"]},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
    **{
        f"${variable['name']}": variable["query"].removeprefix("label_values(").partition(",")[0]
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    },
}


def metrics_in(expression: str) -> set[str]:
    """Give the names of the metrics in an expression of PromQL: all words but labels and functions."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby\s*\([^)]*\)", " ", bare)
    return {word for word, call in re.findall(r"\b([a-z_]\w*)\b\s*(\(?)", bare) if not call} - SPOKEN


def test_the_names_are_found_in_an_expression():
    """Labels, their values, functions and durations are no metrics."""
    found = metrics_in('sum by (a, b) (rate(x_total{c="d", e=~"5.."}[5m])) > 3 * max(y) and absent(up == 1)')
    assert found == {"x_total", "y", "up"}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_only_metrics_that_there_are(shared, expression):
    """Each metric in an alert, a panel or a variable stands in /metrics; `up` is Prometheus' own."""
    shared.predict([])
    given = {name.partition(" ")[0] for name in shared.metrics()} | {"up"}
    asked = metrics_in(expression)
    assert asked
    assert asked <= given


def test_the_page_names_every_alert():
    """The table of docs/metrics.md has the alerts with their severity, in their order."""
    rules = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]
    table = re.findall(r"^\| `(Slipway\w+)` \|.*\| (\w+) \|$", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert table == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]


def test_the_monitor_finds_the_services():
    """It scrapes the port and the path that there are, of the Services with a channel's label."""
    monitor = yaml.safe_load((FOLDER / "service-monitor.yaml").read_text())
    assert monitor["spec"]["selector"]["matchExpressions"] == [
        {"key": "slipway/channel", "operator": "Exists"}
    ]
    assert monitor["spec"]["targetLabels"] == ["slipway/channel", "slipway/model"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")


def test_the_component_holds_every_file():
    """kustomization.yaml names all files of the folder."""
    component = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    (generator,) = component["configMapGenerator"]
    named = {*component["resources"], *(file.partition("=")[2] for file in generator["files"])}
    assert named | {"kustomization.yaml"} == {path.name for path in FOLDER.iterdir()}
    assert generator["options"]["labels"] == {"grafana_dashboard": "1"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not there")
def test_the_alerts_fire_when_they_should(tmp_path):
    """Each alert fires in a series of samples made for it, and is silent in those of a sound server."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]))
    shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path)
    command = ["promtool", "test", "rules", str(tmp_path / "alerts.yaml")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
