"""The verdict on a release: what was measured, held against the gates and the versions of before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.judging import comparison
from tasks.judging.evidence import make_case
from tasks.judging.latency import measure_latency
from tasks.judging.scores import Scores
from tasks.judging.sets import TEST, load_sets
from tasks.judging.verdict import judge
from tasks.making.scores import staged
from tasks.release.promise import DEFAULT
from tasks.release.reader import Release

if TYPE_CHECKING:
    from tasks.channels.backend import Backend
    from tasks.question import Question
    from tasks.store.store import Store

Scored = Callable[[int, str], Scores]
"""Gives what a version, of that digest, answers for every set."""


def make_verdict(
    folder: Path,
    store: Store,
    backend: Backend,
    question: Question,
    released: Path,
    *,
    scored: Scored,
    machine: str,
    should_stop: Callable[[], bool],
) -> None:
    """Write the verdict on a version, which stands in the folder `released`, into `folder`."""
    described = Release(released)
    described.verify()
    outliers = {name: store.folder(artifact) for name, artifact in question.sets.items()}
    sets = load_sets(store.folder(question.dataset), outliers, limit=question.data.limit)
    candidate = scored(question.version, question.release.digest)
    with staged(backend, question.version, question.serving, should_stop) as client:
        latency = measure_latency(
            client,
            sets[TEST],
            promised=described.signatures[DEFAULT].outputs,
            version=question.version,
            should_stop=should_stop,
        )
    rivals = [comparison.Rival(scored(one.version, one.digest), one.roles) for one in question.rivals]
    case = make_case(
        described,
        question,
        candidate=candidate,
        rivals=rivals,
        dataset=store.folder(question.dataset),
        sets=sets,
        latency=latency,
        machine=machine,
    )
    judge(folder, case, question.judging, should_stop=should_stop)
