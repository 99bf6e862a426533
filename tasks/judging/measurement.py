"""Measures a case: accuracy, detectors on every set, the rivals, parity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from settings.errors import Stopped
from tasks.judging import measures
from tasks.judging.baselines import fit_principal_components
from tasks.judging.bootstrap import Rounds, accuracy_difference, bootstrap, difference
from tasks.judging.case import Case
from tasks.judging.comparison import Comparison, Rival, margin
from tasks.judging.leak import count_leaked
from tasks.judging.scores import SCORE
from tasks.judging.statistics import Estimate, ScoreArray, wilson
from tasks.release.parity import Answers, Parity, compare

if TYPE_CHECKING:
    from settings.hyperparameters import JudgingSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """The figures of a case."""

    leaked: int  # test rows among the training rows
    accuracy: Estimate
    confusion: NDArray[np.int64]  # (classes, classes), true class by predicted class
    flagged: Mapping[str, Estimate]  # by set: the share out of distribution; empty without a score
    separations: Mapping[str, Mapping[str, Rounds]]  # by outlier set and detector
    advantages: Mapping[str, Estimate]  # by trivial detector: AUROC above the concept's, on the primary set
    comparisons: tuple[Comparison, ...]  # with each rival, in each statistic in which it counts
    endpoint: Mapping[str, Parity]  # by set: the endpoint and the SavedModel
    litert: Mapping[str, Parity]  # by set: the LiteRT file and the SavedModel

    def separations_json(self, confidence: float) -> dict[str, Any]:
        """Give AUROC, AUPR and FPR at 95 % TPR with their intervals, by set and detector."""
        return {
            name: {
                detector: {
                    statistic: asdict(rounds.estimate(statistic, confidence))
                    for statistic in ("auroc", "aupr", "fpr95")
                }
                for detector, rounds in detectors.items()
            }
            for name, detectors in self.separations.items()
        }


def measure(case: Case, settings: JudgingSettings, should_stop: Callable[[], bool]) -> Measurement:
    """Measure all of a case; raises Stopped between two sets when asked to stop."""
    confidence = settings.confidence
    class_ids = case.answered["class_ids"]
    correct = class_ids == case.test_labels
    separations = _separate(case, settings, should_stop) if case.scores_rows else {}
    primary = separations.get(case.primary, {})
    return Measurement(
        leaked=count_leaked(case.train_rows, case.sets[case.test]),
        accuracy=wilson(int(correct.sum()), len(correct), confidence),
        confusion=measures.confusion(case.test_labels, class_ids, len(case.classes)),
        flagged={
            name: measures.flagged(outputs, confidence)
            for name, outputs in case.candidate.sets.items()
            if case.scores_rows
        },
        separations=separations,
        advantages={
            name: difference(primary[name], primary[measures.CONCEPT], "auroc", confidence)
            for name in measures.TRIVIAL
            if name in primary
        },
        comparisons=tuple(_compare_with_rivals(case, primary, correct, settings)),
        endpoint=_compare(case.candidate.sets, case, settings.parity_rtol),
        litert=_compare(case.references.litert, case, settings.parity_rtol),
    )


def _separate(
    case: Case, settings: JudgingSettings, should_stop: Callable[[], bool]
) -> dict[str, dict[str, Rounds]]:
    """Give the rounds of every detector against every outlier set; the rivals' on the primary one too."""
    components = fit_principal_components(case.train_rows)

    def scores_of(name: str) -> dict[str, ScoreArray]:
        scores = measures.detector_scores(case.candidate.sets[name], case.sets[name], components)
        if name in (case.test, case.primary):
            scores |= {detector_of(rival): rival.scores.sets[name][SCORE] for rival in case.rivals}
        return scores

    inliers = scores_of(case.test)
    separations = {}
    for name in case.outliers:
        if should_stop():
            raise Stopped("stopped while the model was judged; nothing was promoted")
        outliers = scores_of(name)
        separations[name] = bootstrap(
            {detector: inliers[detector] for detector in outliers},
            outliers,
            rounds=settings.bootstrap_rounds,
            seed=settings.seed,
        )
        auroc = separations[name][measures.CONCEPT].estimate("auroc", settings.confidence)
        logger.info("%s: AUROC %.5f (%.5f to %.5f)", name, auroc.value, auroc.low, auroc.high)
    return separations


def detector_of(rival: Rival) -> str:
    """Give the name of a rival's concept among the detectors."""
    return f"version {rival.scores.version}"


def _compare_with_rivals(
    case: Case, primary: Mapping[str, Rounds], correct: NDArray[np.bool_], settings: JudgingSettings
) -> Iterator[Comparison]:
    confidence = settings.confidence
    for rival in case.rivals:
        for statistic, role in rival.roles.items():
            if statistic == "accuracy":
                right = rival.scores.sets[case.test]["class_ids"] == case.test_labels
                value, images, wanted = float(right.mean()), len(right), settings.champion_margin
                found = accuracy_difference(
                    correct,
                    right,
                    rounds=settings.bootstrap_rounds,
                    seed=settings.seed,
                    confidence=confidence,
                )
            else:
                rounds = primary[detector_of(rival)]
                value, wanted = rounds.measured.auroc, settings.champion_auroc_margin
                images = min(len(case.sets[case.test]), len(case.sets[case.primary]))
                found = difference(primary[measures.CONCEPT], rounds, "auroc", confidence)
            allowed = margin(value, images, confidence=confidence, wanted=wanted)
            yield Comparison(statistic, rival.scores.version, role, found, allowed)


def _compare(answers: Mapping[str, Answers], case: Case, rtol: float) -> dict[str, Parity]:
    """Compare with the SavedModel by set; a set with a reference and no answers differs in every row."""
    return {
        name: compare(answers.get(name, {}), outputs, rtol=rtol, scales=case.scales, threshold=case.threshold)
        for name, outputs in case.references.saved_model.items()
    }
