"""Which gates there are, in the order of the table, and what each needs to be decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from settings.errors import WrongInput
from tasks.judging import gates, measures
from tasks.judging.case import Case
from tasks.judging.gates import Gate
from tasks.judging.measurement import Measurement
from tasks.judging.scores import IN_DISTRIBUTION, SCORE
from tasks.judging.statistics import wilson

if TYPE_CHECKING:
    from settings.hyperparameters import JudgingSettings
    from settings.model import OwnGate

    Judge = Callable[[Case, Measurement, JudgingSettings], Gate]


@dataclass(frozen=True)
class Rule:
    """A gate by its name: how it is decided, and which outputs of the model it needs."""

    name: str
    judge: Judge
    needs: tuple[str, ...] = ()

    @classmethod
    def of_the_model(cls, gate: OwnGate) -> Rule:
        """Give the rule of a gate that the model brings."""

        def judge(case: Case, measured: Measurement, settings: JudgingSettings) -> Gate:
            try:
                figure = float(gate.measure(case.candidate.sets, case.test_labels))
            except Exception as error:
                raise WrongInput(
                    f"the gate {gate.name} of the model: {type(error).__name__}: {error}"
                ) from error
            return gates.own(gate, figure)

        return cls(gate.name, judge, gate.needs)

    def decide(self, case: Case, measured: Measurement, settings: JudgingSettings) -> Gate:
        """Give the gate; one that lacks what it needs is not applicable, and says so."""
        missing = [name for name in self.needs if name not in case.answered]
        if missing:
            without = f"the model gives no {' and no '.join(missing)}"
            return Gate(self.name, None, without, "not applicable")
        return self.judge(case, measured, settings)


def leak(case: Case, measured: Measurement, settings: JudgingSettings) -> Gate:
    """Hold the test rows that were trained on against what there may be."""
    rows = len(case.test_labels)
    return gates.leak(wilson(measured.leaked, rows, settings.confidence), rows)


def auroc(case: Case, measured: Measurement, settings: JudgingSettings) -> Gate:
    """Hold the AUROC against each set with a bound."""
    found = {
        name: detectors[measures.CONCEPT].estimate("auroc", settings.confidence)
        for name, detectors in measured.separations.items()
    }
    return gates.auroc(found, case.primary, settings.min_auroc, settings.auroc_bounds)


def flagged_share(case: Case, measured: Measurement, settings: JudgingSettings) -> Gate:
    """Hold the share of test rows that is flagged against what was asked for."""
    return gates.flagged_share(
        measured.flagged[case.test],
        wilson(settings.false_positive_rate * case.held_out, case.held_out, settings.confidence),
        settings.false_positive_rate,
        settings.min_flagged_ratio,
        settings.max_flagged_ratio,
    )


RULES = (
    Rule("leak", leak),
    Rule("accuracy", lambda case, found, settings: gates.accuracy(found.accuracy, settings.min_accuracy)),
    Rule("auroc", auroc, (SCORE,)),
    Rule(
        "trivial-detectors",
        lambda case, found, settings: gates.trivial_detectors(
            found.advantages, on=settings.trivial_detectors
        ),
        (SCORE,),
    ),
    Rule("flagged-share", flagged_share, (IN_DISTRIBUTION,)),
    Rule(
        "endpoint-parity",
        lambda case, found, settings: gates.endpoint_parity(found.endpoint, settings.parity_rtol),
    ),
    Rule(
        "litert-parity",
        lambda case, found, settings: gates.litert_parity(found.litert, settings.parity_rtol),
    ),
    Rule("champion", lambda case, found, settings: gates.champion(found.comparisons, on=settings.champion)),
    Rule(
        "latency",
        lambda case, found, settings: gates.latency(case.latency, case.machine, settings.max_latency_ms),
    ),
)
"""Every gate but that of finite answers, without which nothing is measured."""
