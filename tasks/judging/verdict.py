"""Judges a candidate by what its endpoint answered: measures, holds against the gates, writes it all down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.judging import gates, measures, pictures
from tasks.judging.case import Case
from tasks.judging.gates import Gate
from tasks.judging.measurement import Measurement, measure

if TYPE_CHECKING:
    from settings.hyperparameters import JudgingSettings

logger = logging.getLogger(__name__)

VERDICT = "verdict.json"


@dataclass(frozen=True)
class Verdict:
    """The gates of a judging, and all that was measured."""

    gates: tuple[Gate, ...]
    content: Mapping[str, Any]  # verdict.json

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.failed_gates

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        """The gates that failed, in the order of the table."""
        return tuple(gate for gate in self.gates if not gate.passed)

    def message(self) -> str:
        """Give one line: each failed gate, measured against required."""
        if self.passed:
            return f"all {len(self.gates)} gates passed"
        return "; ".join(gate.line for gate in self.failed_gates)


def judge(
    folder: Path,
    case: Case,
    settings: JudgingSettings,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verdict:
    """Measure a case, hold it against the gates, and write verdict.json and its images into the folder."""
    finite = gates.finite(case.candidate.sets)
    if not finite.passed:
        content = {"release": dict(case.release), "threshold": case.threshold, "champion": None}
        return _write(folder, (finite,), content)
    measured = measure(case, settings, should_stop)
    rows = (
        pictures.worst_mistakes(case.sets[case.test], case.test_labels, case.answered),
        pictures.highest_digits(case.sets[case.test], case.test_labels, case.answered),
        pictures.lowest_outliers(case.sets[case.primary], case.candidate.sets[case.primary]),
    )
    for row in rows:
        row.save(folder)
    pictured = {row.name: row.facts for row in rows}
    figures = {**_figures(case, measured, settings), "pictures": pictured}
    return _write(folder, (finite, *decide(case, measured, settings)), figures)


def _write(folder: Path, decided: tuple[Gate, ...], figures: Mapping[str, Any]) -> Verdict:
    """Write verdict.json, and give the verdict."""
    content = {
        "passed": all(gate.passed for gate in decided),
        "gates": [gate.as_json() for gate in decided],
        **figures,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / VERDICT).write_text(text + "\n", encoding="utf-8")
    verdict = Verdict(decided, content)
    logger.info("verdict: %s", verdict.message())
    return verdict


def decide(case: Case, measured: Measurement, settings: JudgingSettings) -> tuple[Gate, ...]:
    """Give every gate but the first, in the order of the table."""
    concept = measured.separations[case.primary][measures.CONCEPT]
    return (
        gates.leak(measured.leaked, len(case.test_labels)),
        gates.accuracy(measured.accuracy, settings.min_accuracy),
        gates.auroc(concept.estimate("auroc", settings.confidence), case.primary, settings.min_auroc),
        gates.trivial_detectors(measured.advantages, on=settings.trivial_detectors),
        gates.flagged_share(
            measured.flagged[case.test],
            settings.false_positive_rate,
            settings.min_flagged_ratio,
            settings.max_flagged_ratio,
        ),
        gates.endpoint_parity(measured.endpoint, settings.parity_rtol),
        gates.litert_parity(measured.litert, settings.parity_rtol),
        gates.champion(
            measured.against_champion,
            case.champion_version,
            on=settings.champion,
        ),
        gates.latency(case.latency, case.machine, settings.max_latency_ms),
    )


def load_verdict(folder: Path) -> Verdict:
    """Read what `judge` wrote."""
    content = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    return Verdict(tuple(Gate.from_json(gate) for gate in content["gates"]), content)


def _figures(case: Case, measured: Measurement, settings: JudgingSettings) -> dict[str, Any]:
    """Give all that was measured as JSON."""
    champion = None
    if case.champion is not None:
        differences = {name: asdict(each) for name, each in measured.against_champion.items()}
        champion = {"version": case.champion_version, "differences": differences}
    roles = {case.test: "test", case.primary: "primary outliers"}
    return {
        "release": dict(case.release),
        "threshold": case.threshold,
        "sets": {
            name: {
                "role": roles.get(name, "outliers"),
                "images": len(images),
                "flagged": asdict(measured.flagged[name]),
            }
            for name, images in case.sets.items()
        },
        "accuracy": asdict(measured.accuracy),
        "classes": measures.per_class(measured.confusion, settings.confidence),
        "confusion": measured.confusion.tolist(),
        "detectors": measured.separations_json(settings.confidence),
        "champion": champion,
        "latency": [asdict(latency) for latency in case.latency],
        "machine": case.machine,
        "intervals": {
            "confidence": settings.confidence,
            "rounds": settings.bootstrap_rounds,
            "seed": settings.seed,
        },
        "histograms": measures.histograms(
            {name: case.candidate.sets[name].score for name in case.sets}, case.threshold
        ),
    }
