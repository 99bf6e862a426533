"""The release: both networks, the threshold that held-out images set, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.selection import held_out_images
from tasks.release.facts import facts

if TYPE_CHECKING:
    from settings.hyperparameters import ConceptSettings, DataSettings, JudgingSettings
    from tasks.store.artifacts import Artifact
    from tasks.store.store import Store


def make_release(
    folder: Path,
    store: Store,
    dataset: Artifact,
    classifier: Artifact,
    concept: Artifact,
    data: DataSettings,
    concept_settings: ConceptSettings,
    judging: JudgingSettings,
    *,
    parts: Mapping[str, str],
    image: str | None,
) -> None:
    """Write a release into `folder`; `parts` are those of its key, `image` is what makes it (facts.py)."""
    from tasks.release.export import export

    networks = {"classifier": classifier, "concept": concept}
    records = {name: store.record(network) for name, network in networks.items()}
    export(
        folder,
        classifier=store.folder(classifier),
        concept=store.folder(concept),
        held_out=held_out_images(store.folder(dataset), held_out=data.held_out, limit=data.limit),
        false_positive_rate=judging.false_positive_rate,
        activation=concept_settings.activation,
        score_form=concept_settings.score,
        facts=facts(
            dataset=dataset.kind.partition("/")[2],
            dataset_digest=dataset.digest,
            quarantined=store.record(dataset).notes.get("quarantined", []),
            networks={name: network.digest for name, network in networks.items()},
            precision={name: record.notes["precision"] for name, record in records.items()},
            parts={**records["classifier"].parts, **records["concept"].parts, **parts},
            image=image,
        ),
    )
