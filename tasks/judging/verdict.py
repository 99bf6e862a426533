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
from tasks.judging.measures import judged_against
from tasks.judging.rules import RULES, Rule
from tasks.judging.scores import SCORE

if TYPE_CHECKING:
    from settings.hyperparameters import JudgingSettings

logger = logging.getLogger(__name__)

VERDICT = "verdict.json"
PRIMARY = "primary outliers"  # the role of the set that the gates look at


@dataclass(frozen=True)
class Verdict:
    """The gates of a judging, and all that was measured."""

    gates: tuple[Gate, ...]
    content: Mapping[str, Any]  # verdict.json

    @property
    def passed(self) -> bool:
        """Whether no gate failed, and at least one of quality judged the candidate."""
        return not self.failed_gates and any(gate.judged for gate in self.quality_gates)

    @property
    def quality_gates(self) -> tuple[Gate, ...]:
        """The gates that say what a model is good for."""
        own = self.content.get("own_gates", ())
        return tuple(gate for gate in self.gates if gate.name in gates.QUALITY or gate.name in own)

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        """The gates that failed, in the order of the table."""
        return tuple(gate for gate in self.gates if gate.failed)

    def statistics(self) -> dict[str, float]:
        """Give what candidates are compared by; nothing where answers were not finite."""
        if "accuracy" not in self.content:
            return {}
        found = {"accuracy": self.content["accuracy"]["value"]}
        if primary := self.content["primary"]["set"]:
            found["auroc"] = self.content["detectors"][primary][measures.CONCEPT]["auroc"]["value"]
        return found

    def message(self) -> str:
        """Give one line: each failed gate, measured against required; else how many passed, and were off."""
        if self.failed_gates:
            return "; ".join(gate.line for gate in self.failed_gates)
        if not self.passed:
            without = ", ".join(f"{gate.name} {gate.state}" for gate in self.quality_gates)
            return f"no gate of quality judged it ({without}): switch one on, or promote it with --force"
        return gates.summary(self.gates)


def judge(
    folder: Path,
    case: Case,
    settings: JudgingSettings,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verdict:
    """Measure a case, hold it against the gates, and write verdict.json and its rows into the folder."""
    finite = gates.finite(case.candidate.sets)
    if finite.failed:
        content: dict[str, Any] = {"release": dict(case.release), "threshold": case.threshold, "compared": []}
        return _write(folder, case, (finite,), content)
    measured = measure(case, settings, should_stop)
    rows = [pictures.worst_mistakes(case.sets[case.test], case.test_labels, case.answered)]
    if case.scores_rows:
        rows += [
            pictures.strangest(case.sets[case.test], case.test_labels, case.answered),
            pictures.lowest_outliers(case.sets[case.primary], case.candidate.sets[case.primary]),
        ]
    for row in rows:
        row.save(folder)
    pictured = {row.name: row.facts for row in rows}
    figures = {**_figures(case, measured, settings), "pictures": pictured}
    return _write(folder, case, (finite, *decide(case, measured, settings)), figures)


def _write(folder: Path, case: Case, decided: tuple[Gate, ...], figures: Mapping[str, Any]) -> Verdict:
    """Write verdict.json, and give the verdict."""
    content = {
        "primary": {"set": case.primary, "wanted": case.wanted, "made": case.primary_is_made},
        "passed": Verdict(decided, {"own_gates": [gate.name for gate in case.own_gates]}).passed,
        "counts": gates.counts(decided),
        "gates": [gate.as_json() for gate in decided],
        "own_gates": [gate.name for gate in case.own_gates],
        **figures,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / VERDICT).write_text(text + "\n", encoding="utf-8")
    verdict = Verdict(decided, content)
    logger.info("verdict: %s; %s", verdict.message(), judged_against(content))
    return verdict


def decide(case: Case, measured: Measurement, settings: JudgingSettings) -> tuple[Gate, ...]:
    """Give every gate but the first, in the order of the table."""
    rules = (*RULES, *map(Rule.of_the_model, case.own_gates))
    return tuple(rule.decide(case, measured, settings) for rule in rules)


def load_verdict(folder: Path) -> Verdict:
    """Read what `judge` wrote."""
    content = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    return Verdict(tuple(Gate.from_json(gate) for gate in content["gates"]), content)


def _figures(case: Case, measured: Measurement, settings: JudgingSettings) -> dict[str, Any]:
    """Give all that was measured as JSON."""
    roles = {case.test: "test", case.primary: PRIMARY}
    return {
        "release": dict(case.release),
        "threshold": case.threshold,
        "sets": {
            name: {
                "role": roles.get(name, "outliers"),
                "images": len(rows),
                **({"flagged": asdict(measured.flagged[name])} if name in measured.flagged else {}),
            }
            for name, rows in case.sets.items()
        },
        "accuracy": asdict(measured.accuracy),
        "classes": measures.per_class(measured.confusion, settings.confidence),
        "class_names": list(case.classes),
        "confusion": measured.confusion.tolist(),
        "detectors": measured.separations_json(settings.confidence),
        "compared": [each.as_json() for each in measured.comparisons],
        "latency": [asdict(latency) for latency in case.latency],
        "machine": case.machine,
        "intervals": {
            "confidence": settings.confidence,
            "rounds": settings.bootstrap_rounds,
            "seed": settings.seed,
        },
        **_spread(case),
    }


def _spread(case: Case) -> dict[str, Any]:
    """Give how the scores of each set spread, where the model gives some."""
    if case.threshold is None or not case.scores_rows:
        return {}
    scores = {name: case.candidate.sets[name][SCORE] for name in case.sets}
    return {"histograms": measures.histograms(scores, case.threshold)}
