"""judge: asks the release through the stage's endpoint, and holds it against the gates and the champion."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from prefect import task

from settings.hyperparameters import DataSettings, JudgingSettings, ServingSettings
from tasks.caching import ArtifactPolicy
from tasks.judging.scores import Scores, load_scores
from tasks.judging.verdict import load_verdict
from tasks.machine import this_machine
from tasks.making.scores import make_scores
from tasks.making.verdict import make_verdict
from tasks.models.loading import with_tensorflow
from tasks.release import champions
from tasks.release.champions import Rival
from tasks.release.history import Statistic
from tasks.steps import scores_key, verdict_key
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


def rivals_of(place: Workplace, version: int, on: Mapping[str, str]) -> tuple[Rival, ...]:
    """Give the versions that a version is compared with: the champion, and the best of before.

    `on` is what their statistics have to be measured on, from `compared_on`.
    """
    champion, digest = champion_of(place, version)
    return champions.rivals(
        place.registry.history.events(),
        version,
        place.version_in_production(),
        (champion, digest) if champion and digest else None,
        on,
        place.registry.versions(),
    )


def note_verdict(
    place: Workplace,
    version: int,
    release: Artifact,
    verdict: Artifact,
    champion: int | None,
    on: Mapping[str, str],
) -> None:
    """Add a verdict to the history, with what later candidates are compared by, unless it is there."""
    history = place.registry.history
    judged = history.last("judged", version)
    if judged is not None and judged.verdict == verdict.digest:
        return
    decided = load_verdict(place.store.folder(verdict))
    statistics = {name: Statistic(value=value, on=on[name]) for name, value in decided.statistics().items()}
    history.append(
        "judged",
        version,
        release.digest,
        decided.message(),
        champion=champion,
        verdict=verdict.digest,
        statistics=statistics,
    )


@task(
    name="judge",
    task_run_name="judge",
    cache_policy=ArtifactPolicy(kind="verdict", key_of=verdict_key),
    persist_result=True,
    result_serializer="json",
)
def judge(
    place: Workplace,
    version: int,
    release: Artifact,
    rivals: Sequence[Rival],
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    primary: str,
    data: DataSettings,
    judging: JudgingSettings,
    serving: ServingSettings,
) -> Artifact:
    """Give the verdict on a release."""
    key = verdict_key(release, rivals, dataset, sets, primary, data, judging, serving)
    return place.store.make(
        "verdict",
        key,
        with_tensorflow(
            make_verdict,
            place.store,
            place.backend,
            place.registry.folder(version),
            version,
            release,
            rivals,
            dataset,
            sets,
            primary,
            data,
            judging,
            serving,
            scored=partial(scored, place, dataset, sets, data, judging, serving),
            machine=this_machine(),
            should_stop=should_stop,
        ),
    )


def scored(
    place: Workplace,
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    data: DataSettings,
    judging: JudgingSettings,
    serving: ServingSettings,
    version: int,
    digest: str,
) -> Scores:
    """Give what a version, of that digest, answers for every set."""
    work = partial(
        make_scores,
        store=place.store,
        backend=place.backend,
        version=version,
        dataset=dataset,
        sets=sets,
        data=data,
        judging=judging,
        serving=serving,
        should_stop=should_stop,
    )
    made = place.store.make("scores", scores_key(digest, dataset, sets, data, serving), work)
    return load_scores(place.store.folder(made), version)
