"""export: one SavedModel with both networks and the threshold; its manifest says what it was made from."""

from __future__ import annotations

import os
from pathlib import Path

from prefect import task

from settings.hyperparameters import ConceptSettings, DataSettings, JudgingSettings
from tasks.caching import ArtifactPolicy
from tasks.channels.cluster import own_image
from tasks.datasets.selection import held_out_images
from tasks.models.loading import load_tensorflow
from tasks.release.facts import facts
from tasks.steps import release_key
from tasks.store.artifacts import Artifact
from tasks.workplace import Workplace


@task(
    name="export",
    task_run_name="export",
    cache_policy=ArtifactPolicy(kind="release", key_of=release_key),
    persist_result=True,
    result_serializer="json",
)
def export(
    place: Workplace,
    dataset: Artifact,
    classifier: Artifact,
    concept: Artifact,
    data: DataSettings,
    concept_settings: ConceptSettings,
    judging: JudgingSettings,
) -> Artifact:
    """Give the release: its SavedModel, LiteRT file, golden images and manifest."""
    key = release_key(dataset, classifier, concept, data, concept_settings, judging)

    def work(folder: Path) -> None:
        load_tensorflow()
        from tasks.release.export import export as write_release

        made = place.store.folder(dataset)
        parts = [place.store.record(network).parts for network in (classifier, concept)]
        write_release(
            folder,
            classifier=place.store.folder(classifier),
            concept=place.store.folder(concept),
            held_out=held_out_images(made, held_out=data.held_out, limit=data.limit),
            false_positive_rate=judging.false_positive_rate,
            activation=concept_settings.activation,
            score_form=concept_settings.score,
            facts=facts(
                dataset=dataset.kind.partition("/")[2],
                dataset_digest=dataset.digest,
                quarantined=place.store.record(dataset).notes.get("quarantined", []),
                networks={"classifier": classifier.digest, "concept": concept.digest},
                parts={**parts[0], **parts[1], **key.parts},
                image=own_image(os.environ),
            ),
        )

    return place.store.make("release", key, work)
