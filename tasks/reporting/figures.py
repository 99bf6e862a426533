"""The figures of the report: how outliers are told apart, how digits are classified, and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.reporting import charts
from tasks.reporting.images import picture
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
            "The concept's score says how far an image is from the training data. Each set is drawn to its "
            "own height; what lies right of the threshold is flagged as out of distribution.",
        ),
        charts.histograms(
            bins["edges"],
            bins["counts"],
            logarithmic=bins["scale"] == "logarithmic",
            threshold=verdict["threshold"],
            notes={
                name: f"{facts['images']:,} images, {_share(facts['flagged']['value'])} flagged"
                for name, facts in sets.items()
            },
            first=test,
        ),
        table(
            ("outlier set", "role", "images", "AUROC", "AUPR", "FPR at 95 % TPR", "flagged"),
            separations,
            f"The concept's score, test images against each outlier set ({confidence} intervals)",
        ),
        table(
            ("outlier set", *names), compared, "AUROC of the concept and of detectors that anyone could use"
        ),
    )


def classification(verdict: Json) -> Markup:
    """Give the accuracy and which digit was taken for which."""
    accuracy, confusion = verdict["accuracy"], verdict["confusion"]
    images = sum(map(sum, confusion))
    most = max((count for i, row in enumerate(confusion) for j, count in enumerate(row) if i != j), default=0)
    classes = {each["class"]: each for each in verdict["classes"]}
    rows: list[Sequence[Content]] = [
        (
            truth,
            *(_confusion_cell(count, truth == predicted, most) for predicted, count in enumerate(row)),
            _share(classes[truth]["accuracy"]["value"]) if truth in classes else "–",
        )
        for truth, row in enumerate(confusion)
    ]
    return join(
        tag(
            "p",
            f"{_share(accuracy['value'])} of {images:,} test images are classified rightly "
            f"({_share(accuracy['low'])} to {_share(accuracy['high'])}).",
        ),
        table(
            ("digit", *map(str, range(len(confusion))), "accuracy"),
            rows,
            "How often each digit (row) was taken for each (column)",
            class_="confusion",
        ),
    )


def _confusion_cell(count: int, right: bool, most: int) -> Markup:
    if right:
        return tag("td", f"{count:,}", class_="cell right")
    if not count:
        return tag("td", "·", class_="cell zero")
    return tag("td", f"{count:,}", class_="cell wrong", style=f"--share:{8 + 42 * count / most:.0f}%")


def pictures(verdict: Json, folder: Path) -> Markup:
    """Give the images behind the figures: mistakes, strange digits, familiar outliers."""
    facts = verdict["pictures"]
    return join(
        _row(
            "Worst mistakes", "Wrongly classified test images, the surest first.", "mistakes", facts, folder
        ),
        _row("Strangest test images", "Those with the highest score.", "highest-digits", facts, folder),
        _row(
            "Most familiar outliers",
            "Those of the primary set with the lowest score.",
            "lowest-outliers",
            facts,
            folder,
        ),
    )


def _row(title: str, text: str, name: str, facts: Json, folder: Path) -> Markup:
    images = np.load(folder / f"{name}.npy", allow_pickle=False)  # (K, 28, 28) uint8
    if not len(images):
        return join(tag("h3", title), tag("p", "There are none.", class_="muted"))
    figures = []
    for image, fact in zip(images, facts[name], strict=True):
        side = "flagged" if fact["flagged"] else "not flagged"
        if name == "mistakes":
            alt = f"a {fact['truth']} taken for a {fact['predicted']}, probability {fact['probability']:.3f}"
            caption = f"{fact['truth']} as {fact['predicted']}\np {fact['probability']:.3f}"
        else:
            what = "an outlier" if fact["truth"] is None else f"a {fact['truth']}"
            alt = f"{what} with score {fact['score']:.4g}, {side}"
            caption = f"{fact['score']:.4g}\n{side}"
        figures.append(picture(image, f"{alt}, image {fact['index']}", caption))
    return join(tag("h3", title), tag("p", text), tag("div", figures, class_="pictures"))


def _estimate(estimate: Json) -> Markup:
    interval = tag("small", f"{estimate['low']:.5f}–{estimate['high']:.5f}")
    return tag("td", f"{estimate['value']:.5f}", interval, class_="figure")


def _share(value: float) -> str:
    return f"{100 * value:.2f}\N{NO-BREAK SPACE}%"
