"""The scores of a version: what it answers for every set, asked through a server of that version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.channels.client import Client
from tasks.channels.wanted import wanted
from tasks.judging.scores import save_scores
from tasks.judging.scoring import score_sets
from tasks.judging.sets import load_sets

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings, JudgingSettings, ServingSettings
    from tasks.channels.backend import Backend
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store


def make_scores(
    folder: Path,
    store: Store,
    backend: Backend,
    version: int,
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    data: DataSettings,
    judging: JudgingSettings,
    serving: ServingSettings,
    *,
    should_stop: Callable[[], bool],
) -> None:
    """Write the answers of a version for the test images and all outlier sets into `folder`."""
    outliers = {name: store.folder(artifact) for name, artifact in sets.items()}
    images = load_sets(store.folder(dataset), outliers, limit=data.limit)
    with staged(backend, version, serving, should_stop) as client:
        answered = score_sets(
            client,
            images,
            version=version,
            request_images=judging.request_images,
            should_stop=should_stop,
        )
    save_scores(folder, answered)


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
