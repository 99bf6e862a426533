"""The release: all networks, the threshold that held-out rows set, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.selection import held_out_rows
from tasks.release.facts import facts

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings, JudgingSettings
    from settings.model import Description, Model, Training
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store


def make_release(
    folder: Path,
    store: Store,
    model: Model,
    dataset: Artifact,
    description: Description,
    networks: Mapping[str, Artifact],
    settings: Mapping[str, Training],
    data: DataSettings,
    judging: JudgingSettings,
    *,
    parts: Mapping[str, str],
    image: str | None,
) -> None:
    """Write a release into `folder`; `parts` are those of its key, `image` is what makes it (facts.py)."""
    from tasks.release.export import export

    records = {name: store.record(network) for name, network in networks.items()}
    of_all = {part: value for record in records.values() for part, value in record.parts.items()}
    export(
        folder,
        model,
        description,
        networks={name: store.folder(network) for name, network in networks.items()},
        settings=settings,
        held_out=held_out_rows(store.folder(dataset), held_out=data.held_out, limit=data.limit),
        false_positive_rate=judging.false_positive_rate,
        facts=facts(
            dataset=dataset.kind.partition("/")[2],
            dataset_digest=dataset.digest,
            quarantined=store.record(dataset).notes.get("quarantined", []),
            networks={name: network.digest for name, network in networks.items()},
            precision={name: record.notes["precision"] for name, record in records.items()},
            parts={**of_all, **parts},
            image=image,
        ),
    )
