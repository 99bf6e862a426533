"""The scores of a version: what it answers for every set, asked through a server of that version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.channels.client import Client
from tasks.channels.wanted import wanted
from tasks.judging.scores import save_scores
from tasks.judging.scoring import score_sets
from tasks.judging.sets import load_sets
from tasks.release.promise import DEFAULT
from tasks.release.reader import Release

if TYPE_CHECKING:
    from settings.hyperparameters import ServingSettings
    from tasks.channels.backend import Backend
    from tasks.question import Question
    from tasks.store.store import Store


VALUE_BYTES = 13  # of a float32 in a request: JSON, with its comma


def make_scores(
    folder: Path,
    store: Store,
    backend: Backend,
    question: Question,
    version: int,
    released: Path,
    *,
    should_stop: Callable[[], bool],
) -> None:
    """Write what a version, which stands in the folder `released`, answers for all sets into `folder`."""
    outliers = {name: store.folder(artifact) for name, artifact in question.sets.items()}
    sets = load_sets(store.folder(question.dataset), outliers, limit=question.data.limit)
    with staged(backend, version, question.serving, should_stop) as client:
        answered = score_sets(
            client,
            sets,
            promised=Release(released).signatures[DEFAULT].outputs,
            version=version,
            request_rows=rows_in_a_request(question),
            should_stop=should_stop,
        )
    save_scores(folder, answered)


def rows_in_a_request(question: Question) -> int:
    """Give how many rows go into one request: as many as are set, or as fit into the largest body."""
    row_bytes = question.description.size * VALUE_BYTES
    fit = question.serving.max_request_mib * 2**20 // row_bytes
    return max(1, min(question.judging.request_images, fit))


def staged(
    backend: Backend, version: int, serving: ServingSettings, should_stop: Callable[[], bool]
) -> Client:
    """Give a client of a server of a version: where the stage serves it already, nothing happens."""
    endpoint = backend.put(
        "stage",
        wanted(version, serving),
        should_stop=should_stop,
    )
    return Client(endpoint)
