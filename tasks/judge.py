"""judge: asks the release through the stage's endpoint, and holds it against the gates and the champion."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from settings.delivery import Delivery
from settings.model import Model
from tasks.compatibility import contract_changes
from tasks.fetch import Gathered
from tasks.judging.scores import Scores, load_scores
from tasks.judging.verdict import load_verdict
from tasks.kept import keep
from tasks.machine import this_machine
from tasks.making.scores import make_scores
from tasks.making.verdict import make_verdict
from tasks.models.loading import with_tensorflow
from tasks.question import Question
from tasks.release import champions
from tasks.release.champions import Rival
from tasks.release.contract import Signature
from tasks.release.history import Statistic
from tasks.release.promise import promised
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


def champion_of(place: Workplace, version: int) -> tuple[int, str] | tuple[None, None]:
    """Give the version that a candidate is compared with, and its digest: the one in production, if any.

    For the version that is itself in production, it is the one that it was compared with when it got there,
    so an unchanged delivery is not judged anew. Of one that was removed by hand nothing can be asked: it is
    stepped over, to the one that was in production before it.
    """
    registry, history = place.registry, place.registry.history
    champion = place.version_in_production() or None
    if champion == version:
        promoted = history.last("promoted", version)
        served = history.served()  # without the version, where a run was killed right after its rollout
        champion = promoted.champion if promoted else next(iter(served[-1:]), None)
    if champion is None:
        return (None, None)
    served = [each for each in history.served() if each != version]
    before = served[: served.index(champion)] if champion in served else served
    there = registry.versions()
    for each in (champion, *reversed(before)):
        exported = history.last("exported", each)
        if exported is None:
            return (None, None)
        if each in there:
            return (each, exported.digest)
        logger.warning(
            "version %s, which version %s would be compared with, was removed from %s: it is stepped over",
            each,
            version,
            registry.releases,
        )
    return (None, None)


def rivals_of(
    place: Workplace,
    version: int,
    on: Mapping[str, str],
    signatures: Mapping[str, Signature],
    classes: Sequence[str],
) -> tuple[Rival, ...]:
    """Give the versions that a version is compared with: the champion, and the best of before.

    `on` is what their statistics have to be measured on, from `compared_on`. A champion of another contract
    than the version's `signatures` and `classes`, which was taken out of service for it, is none: it cannot
    be asked for these rows.
    """
    champion, digest = champion_of(place, version)
    if champion and (changed := contract_changes(place, champion, signatures, classes)):
        logger.info("version %s is not compared with version %s: %s", version, champion, "; ".join(changed))
        champion = None
    return champions.rivals(
        place.registry.history.events(),
        version,
        place.version_in_production(),
        (champion, digest) if champion and digest else None,
        on,
        place.registry.versions(),
    )


def ask(
    place: Workplace, model: Model, delivery: Delivery, gathered: Gathered, version: int, release: Artifact
) -> tuple[Question, int | None, dict[str, str]]:
    """Give the question about a release, the version in production (None: none), and what is compared on."""
    outliers = gathered.sets[gathered.primary].digest if gathered.primary else ""
    signatures, classes = promised(model, gathered.description), gathered.description.classes
    on = champions.compared_on(signatures, gathered.dataset.digest, outliers, gathered.data.limit)
    rivals = rivals_of(place, version, on, signatures, classes) if delivery.judging.champion else ()
    question = Question(
        version=version,
        release=release,
        rivals=rivals,
        dataset=gathered.dataset,
        description=gathered.description,
        sets=gathered.sets,
        primary=gathered.primary,
        wanted=gathered.wanted,
        primary_is_made=gathered.primary_is_made,
        data=gathered.data,
        judging=delivery.judging,
        serving=delivery.serving,
        gates=model.gates,
    )
    return question, champions.champion_among(rivals), on


def note_verdict(
    place: Workplace, question: Question, verdict: Artifact, champion: int | None, on: Mapping[str, str]
) -> None:
    """Add a verdict to the history, with what later candidates are compared by, unless it is there."""
    history = place.registry.history
    judged = history.last("judged", question.version)
    if judged is not None and judged.verdict == verdict.digest:
        return
    decided = load_verdict(place.store.folder(verdict))
    statistics = {name: Statistic(value=value, on=on[name]) for name, value in decided.statistics().items()}
    history.append(
        "judged",
        question.version,
        question.release.digest,
        decided.message(),
        champion=champion,
        verdict=verdict.digest,
        statistics=statistics,
    )


@task(name="judge", task_run_name="judge", cache_policy=NO_CACHE, persist_result=False)
def judge(place: Workplace, question: Question) -> Artifact:
    """Give the verdict on a release."""
    work = with_tensorflow(
        make_verdict,
        place.store,
        place.backend,
        question,
        place.registry.folder(question.version),
        scored=partial(scored, place, question),
        machine=this_machine(),
        should_stop=should_stop,
    )
    return keep(place, "verdict", question.key, work)


def scored(place: Workplace, question: Question, version: int, digest: str) -> Scores:
    """Give what a version, of that digest, answers for every set."""
    work = partial(
        make_scores,
        store=place.store,
        backend=place.backend,
        question=question,
        version=version,
        released=place.registry.folder(version),
        should_stop=should_stop,
    )
    made = place.store.make("scores", question.scores_key(digest), work)
    return load_scores(place.store.folder(made), version)
