"""train-classifier and train-concept: the two networks, on all training images but the held-out ones.

The runner of the workplace decides where: here, or in a pod for each. The keys are the same.
"""

from __future__ import annotations

from prefect import task

from settings.hyperparameters import ClassifierSettings, ConceptSettings, DataSettings
from tasks.caching import ArtifactPolicy
from tasks.making.classifier import make_classifier
from tasks.making.concept import make_concept
from tasks.models.loading import with_tensorflow
from tasks.steps import classifier_key, concept_key
from tasks.stopping import should_stop
from tasks.store.artifacts import Artifact
from tasks.train_in_pod import train_in_pod
from tasks.workplace import Workplace


@task(
    name="train-classifier",
    task_run_name="train-classifier",
    cache_policy=ArtifactPolicy(kind="classifier", key_of=classifier_key),
    persist_result=True,
    result_serializer="json",
)
def train_classifier(
    place: Workplace, dataset: Artifact, data: DataSettings, classifier: ClassifierSettings
) -> Artifact:
    """Give the trained classifier: weights and learning curve."""
    key = classifier_key(dataset, data, classifier)
    if place.runner == "kubernetes":
        return train_in_pod(place, "classifier", key, dataset, data=data, classifier=classifier)

    return place.store.make(
        "classifier",
        key,
        with_tensorflow(
            make_classifier,
            place.store.folder(dataset),
            data,
            classifier,
            checkpoints=place.store.checkpoints("classifier", key),
            should_stop=should_stop,
        ),
    )


@task(
    name="train-concept",
    task_run_name="train-concept",
    cache_policy=ArtifactPolicy(kind="concept", key_of=concept_key),
    persist_result=True,
    result_serializer="json",
)
def train_concept(
    place: Workplace, dataset: Artifact, data: DataSettings, concept: ConceptSettings
) -> Artifact:
    """Give the trained concept autoencoder: weights and learning curve."""
    key = concept_key(dataset, data, concept)
    if place.runner == "kubernetes":
        return train_in_pod(place, "concept", key, dataset, data=data, concept=concept)

    return place.store.make(
        "concept",
        key,
        with_tensorflow(
            make_concept,
            place.store.folder(dataset),
            data,
            concept,
            checkpoints=place.store.checkpoints("concept", key),
            should_stop=should_stop,
        ),
    )
