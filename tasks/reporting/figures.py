"""The figures of the report: how outliers are told apart, how rows are classified, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.reporting import charts
from tasks.reporting.images import is_picture, picture
from tasks.reporting.markup import Content, Markup, join, table, tag

Json = Mapping[str, Any]


def detection(verdict: Json) -> Markup:
    """Give the histograms of the score and how well every detector parts the sets."""
    sets, detectors, bins = verdict["sets"], verdict["detectors"], verdict["histograms"]
    confidence = f"{100 * verdict['intervals']['confidence']:g} %"
    separations = [
        (
            name,
            sets[name]["role"],
            f"{sets[name]['images']:,}",
            *(_estimate(found["concept"][statistic]) for statistic in ("auroc", "aupr", "fpr95")),
            _share(sets[name]["flagged"]["value"]),
        )
        for name, found in detectors.items()
    ]
    names = list(next(iter(detectors.values())))
    compared = [
        (name, *(_estimate(found[each]["auroc"]) if each in found else "–" for each in names))
        for name, found in detectors.items()
    ]
    test = next(name for name, facts in sets.items() if facts["role"] == "test")
    return join(
        tag(
            "p",
            "The score says how far a row is from the training data. Each set is drawn to its "
            "own height; what lies right of the threshold is flagged as out of distribution.",
        ),
        charts.histograms(
            bins["edges"],
            bins["counts"],
            logarithmic=bins["scale"] == "logarithmic",
            threshold=verdict["threshold"],
            notes={
                name: f"{facts['images']:,} rows, {_share(facts['flagged']['value'])} flagged"
                for name, facts in sets.items()
            },
            first=test,
        ),
        table(
            ("outlier set", "role", "rows", "AUROC", "AUPR", "FPR at 95 % TPR", "flagged"),
            separations,
            f"The score, test rows against each outlier set ({confidence} intervals)",
        ),
        table(("outlier set", *names), compared, "AUROC of the score and of detectors that anyone could use"),
    )


def classification(verdict: Json) -> Markup:
    """Give the accuracy and which class was taken for which."""
    accuracy, confusion = verdict["accuracy"], verdict["confusion"]
    images = sum(map(sum, confusion))
    most = max((count for i, row in enumerate(confusion) for j, count in enumerate(row) if i != j), default=0)
    classes = {each["class"]: each for each in verdict["classes"]}
    names = verdict.get("class_names") or [str(at) for at in range(len(confusion))]
    rows: list[Sequence[Content]] = [
        (
            names[truth],
            *(_confusion_cell(count, truth == predicted, most) for predicted, count in enumerate(row)),
            _share(classes[truth]["accuracy"]["value"]) if truth in classes else "–",
        )
        for truth, row in enumerate(confusion)
    ]
    return join(
        tag(
            "p",
            f"{_share(accuracy['value'])} of {images:,} test rows are classified rightly "
            f"({_share(accuracy['low'])} to {_share(accuracy['high'])}).",
        ),
        table(
            ("class", *names, "accuracy"),
            rows,
            "How often each class (row) was taken for each (column)",
            class_="confusion",
        ),
    )


def _confusion_cell(count: int, right: bool, most: int) -> Markup:
    if right:
        return tag("td", f"{count:,}", class_="cell right")
    if not count:
        return tag("td", "·", class_="cell zero")
    return tag("td", f"{count:,}", class_="cell wrong", style=f"--share:{8 + 42 * count / most:.0f}%")


ROWS = {
    "mistakes": ("Worst mistakes", "Wrongly classified test rows, the surest first."),
    "strangest": ("Strangest test rows", "Those with the highest score."),
    "lowest-outliers": ("Most familiar outliers", "Those of the primary set with the lowest score."),
}
"""The examples of a verdict by the name of their file: title, and what they are."""


def pictures(verdict: Json, folder: Path) -> Markup:
    """Give the rows behind the figures: mistakes, strange ones, familiar outliers."""
    facts, names = verdict["pictures"], verdict.get("class_names", [])
    return join(
        _row(*ROWS[name], np.load(folder / f"{name}.npy", allow_pickle=False), facts[name], names)
        for name in ROWS
        if name in facts
    )


def _row(title: str, text: str, rows: Any, facts: Sequence[Json], names: Sequence[str]) -> Markup:
    if not len(rows):
        return join(tag("h3", title), tag("p", "There are none.", class_="muted"))
    if not is_picture(rows[0]):
        told = [_told(fact, names)[1].replace("\n", ", ") for fact in facts]
        return join(tag("h3", title), tag("p", text), tag("ul", [tag("li", each) for each in told]))
    figures = []
    for row, fact in zip(rows, facts, strict=True):
        alt, caption = _told(fact, names)
        figures.append(picture(row, f"{alt}, row {fact['index']}", caption))
    return join(tag("h3", title), tag("p", text), tag("div", figures, class_="pictures"))


def _told(fact: Json, names: Sequence[str]) -> tuple[str, str]:
    """Give what is known of a row in words, and in a line or two below it."""

    def named(label: int) -> str:
        return names[label] if label < len(names) else str(label)

    truth = fact["truth"]
    if truth is not None and truth != fact["predicted"]:
        taken, sure = f"{named(truth)} as {named(fact['predicted'])}", f"{fact['probability']:.3f}"
        return (
            f"{named(truth)} taken for {named(fact['predicted'])}, probability {sure}",
            f"{taken}\np {sure}",
        )
    what = "an outlier" if truth is None else f"a {named(truth)}"
    side = "flagged" if fact["flagged"] else "not flagged"
    return f"{what} with score {fact['score']:.4g}, {side}", f"{fact['score']:.4g}\n{side}"


def _estimate(estimate: Json) -> Markup:
    interval = tag("small", f"{estimate['low']:.5f}–{estimate['high']:.5f}")
    return tag("td", f"{estimate['value']:.5f}", interval, class_="figure")


def _share(value: float) -> str:
    return f"{100 * value:.2f}\N{NO-BREAK SPACE}%"
