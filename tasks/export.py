"""export: one SavedModel with both networks and the threshold; its manifest says what it was made from."""

from __future__ import annotations

import os

from prefect import task

from settings.hyperparameters import ConceptSettings, DataSettings, JudgingSettings
from tasks.caching import ArtifactPolicy
from tasks.channels.cluster import own_image
from tasks.making.release import make_release
from tasks.models.loading import with_tensorflow
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
    return place.store.make(
        "release",
        key,
        with_tensorflow(
            make_release,
            place.store,
            dataset,
            classifier,
            concept,
            data,
            concept_settings,
            judging,
            parts=key.parts,
            image=own_image(os.environ),
        ),
    )
