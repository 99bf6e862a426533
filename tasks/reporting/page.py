"""The report of a judging as one file: no script, no network, nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.judging.gates import Gate, State, held, summary
from tasks.judging.measures import judged_against
from tasks.reporting import figures
from tasks.reporting.markup import Content, Markup, join, table, tag
from tasks.reporting.style import STYLE

REPORT = "report.html"

OUTCOMES = {
    "promoted": "Promoted to production",
    "refused": "Refused: production is as it was",
    "judged": "Judged, and not promoted",
    "forced": "Promoted by force",
    "taken back": "Not promoted again: an operator had taken it back",
    "overtaken": "Not promoted: production was changed meanwhile",
}

Json = Mapping[str, Any]


def write_page(folder: Path, receipt: Json, verdict_folder: Path) -> Path:
    """Write report.html into the folder, from a receipt and the folder of the verdict that it is about."""
    verdict = json.loads((verdict_folder / "verdict.json").read_text(encoding="utf-8"))
    path = folder / REPORT
    path.write_text(render(receipt, verdict, verdict_folder), encoding="utf-8")
    return path


def render(receipt: Json, verdict: Json, verdict_folder: Path) -> str:
    """Give the page."""
    title = f"{receipt['name']} version {receipt['version']}"
    measured = (
        (
            *(
                [_section("Out-of-distribution detection", figures.detection(verdict))]
                if verdict["detectors"]
                else []
            ),
            _section("Classification", figures.classification(verdict)),
            _section("Rows worth a look", figures.pictures(verdict, verdict_folder)),
            _section("Latency through the endpoint", _latency(verdict["latency"], verdict["machine"])),
        )
        if "accuracy" in verdict  # answers that are not finite leave nothing to measure
        else ()
    )
    body = tag(
        "main",
        _header(title, receipt),
        _section("Gates", _gates(receipt["gates"])),
        *measured,
        _section("Datasets", _datasets(receipt["datasets"])),
        _section("Tasks", _stages(receipt["stages"])),
        _section("Settings", _settings(receipt["settings"])),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title}: {receipt['outcome']}"),
        tag("style", Markup(STYLE)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


def _header(title: str, receipt: Json) -> Markup:
    gates = [Gate.from_json(gate) for gate in receipt["gates"]]
    failed = [gate.name for gate in gates if gate.failed]
    by = f" by {receipt['forced_by']}" if receipt["forced_by"] else ""
    told = f"{summary(gates)}."
    if failed:
        told = f"{len(failed)} of {len(gates)} gates failed: {', '.join(failed)} ({summary(gates)})."
    elif not receipt["passed"]:
        told = f"No gate of quality judged it ({summary(gates)})."
    good = receipt["passed"] and receipt["outcome"] in ("promoted", "judged", "forced")
    rivals = {each["version"]: each["role"] for each in receipt["compared"]}
    against = "There was no version to compare with."
    if rivals:
        against = f"Compared with version {' and version '.join(map(str, rivals))}."
    return tag(
        "header",
        tag("h1", title),
        tag(
            "p",
            f"Judged {receipt['at']}, release ",
            tag("code", receipt["release"]["digest"]),
            class_="muted",
        ),
        tag("p", f"{judged_against(receipt).capitalize()}."),
        tag(
            "div",
            tag("p", tag("strong", OUTCOMES[receipt["outcome"]] + by)),
            tag("p", f"{told} {against}"),
            class_=f"outcome {'good' if good else 'bad'}",
        ),
    )


def _gates(gates: Sequence[Json]) -> Markup:
    rows: list[Sequence[Content]] = []
    for gate in map(Gate.from_json, gates):
        rows.append(_gate(gate.name, gate.state, gate.shown, gate.required, gate.detail))
        rows += [_gate(each.name, held(each.passed), each.shown, each.required, "") for each in gate.parts]
    return table(
        ("gate", "verdict", "measured", "required", "detail"),
        rows,
        "What was measured against what is required",
    )


def _gate(name: str, state: State, shown: str, required: str, detail: str) -> Sequence[Content]:
    words = {"passed": "verdict good", "failed": "verdict bad"}
    return (
        name,
        tag("td", state, class_=words.get(state, "muted")),
        tag("td", shown, class_="figure"),
        tag("td", required, class_="figure"),
        tag("td", detail, class_="detail"),
    )


def _latency(latency: Sequence[Json], machine: str) -> Markup:
    rows = [
        (each["batch"], f"{each['requests']:,}", f"{each['median_ms']:.2f} ms", f"{each['p99_ms']:.2f} ms")
        for each in latency
    ]
    return table(
        ("rows in a request", "requests", "median", "99 % within"),
        rows,
        f"One request after the other, as a client sees it, measured on {machine}",
    )


def _datasets(datasets: Sequence[Json]) -> Markup:
    known = ("role", "images", "source", "quarantined", "digest", "note")
    shown = [column for column in known if any(each.get(column) not in (None, "") for each in datasets)]
    rows: list[Sequence[Content]] = [
        (each["name"], *(_dataset_cell(column, each.get(column)) for column in shown)) for each in datasets
    ]
    return table(("dataset", *shown), rows, "What was trained on and judged with")


def _dataset_cell(column: str, value: Any) -> Content:
    if value is None:
        return "–"
    if column == "digest":
        return tag("code", str(value)[:16], title=str(value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _stages(stages: Sequence[Json]) -> Markup:
    rows = [(each["name"], each["how"], f"{each['seconds']:.1f} s") for each in stages]
    return table(("task", "how", "time"), rows, "What was computed for this judging, and what was at hand")


def _settings(settings: Json) -> Markup:
    return join(
        tag(
            "details",
            tag("summary", section),
            table(
                ("setting", "value"),
                [(name, _value(value)) for name, value in values.items()],
                f"Settings of {section}",
            ),
        )
        for section, values in settings.items()
    )


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _section(title: str, content: Markup) -> Markup:
    return tag("section", tag("h2", title), content)
