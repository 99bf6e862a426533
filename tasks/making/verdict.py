"""The verdict on a release: what was measured, held against the gates and the versions of before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.judging import comparison
from tasks.judging.evidence import make_case
from tasks.judging.latency import measure_latency
from tasks.judging.scores import Scores
from tasks.judging.sets import TEST, load_sets
from tasks.judging.verdict import judge
from tasks.making.scores import staged
from tasks.release.reader import Release

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings, JudgingSettings, ServingSettings
    from tasks.channels.backend import Backend
    from tasks.release.champions import Rival
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store

Scored = Callable[[int, str], Scores]
"""Gives what a version, of that digest, answers for every set."""


def make_verdict(
    folder: Path,
    store: Store,
    backend: Backend,
    released: Path,
    version: int,
    release: Artifact,
    rivals: Sequence[Rival],
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    primary: str,
    data: DataSettings,
    judging: JudgingSettings,
    serving: ServingSettings,
    *,
    scored: Scored,
    machine: str,
    should_stop: Callable[[], bool],
) -> None:
    """Write the verdict on a version, which stands in the folder `released`, into `folder`."""
    described = Release(released)
    described.verify()
    outliers = {name: store.folder(artifact) for name, artifact in sets.items()}
    images = load_sets(store.folder(dataset), outliers, limit=data.limit)
    candidate = scored(version, release.digest)
    with staged(backend, version, serving, should_stop) as client:
        latency = measure_latency(client, images[TEST], version=version, should_stop=should_stop)
    case = make_case(
        described,
        candidate=candidate,
        rivals=[comparison.Rival(scored(rival.version, rival.digest), rival.roles) for rival in rivals],
        digest=release.digest,
        dataset=store.folder(dataset),
        sets=images,
        primary=primary,
        wanted=data.outliers[0],
        held_out=data.held_out,
        limit=data.limit,
        latency=latency,
        machine=machine,
    )
    judge(folder, case, judging, should_stop=should_stop)
