"""The key of every step whose result is kept: what decides it, and nothing else.

Made without Prefect and TensorFlow, so a plan of a delivery is quick. A step's parameters here have the
names of its task's parameters (tasks/caching.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from settings.hyperparameters import (
    ClassifierSettings,
    ConceptSettings,
    DataSettings,
    JudgingSettings,
    ServingSettings,
)
from tasks.machine import this_machine
from tasks.models.fields import CLASSIFIER_KEY_FIELDS, CONCEPT_KEY_FIELDS
from tasks.release.champions import Rival
from tasks.store.artifacts import Artifact
from tasks.store.code import code_digests
from tasks.store.keys import Key, make_key

SERVER = "tasks.serving.__main__"  # the other end of the wire

CODE = {
    "dataset": ("tasks.making.dataset",),
    "classifier": ("tasks.making.classifier",),
    "concept": ("tasks.making.concept",),
    "release": ("tasks.making.release",),
    "scores": ("tasks.making.scores", SERVER),
    "verdict": ("tasks.making.verdict", SERVER),
}
"""By kind of artifact, the modules that decide it, with all that they import."""


def read_code() -> None:
    """Read the code of all keys: before a run imports what an edit during the run would change."""
    for modules in CODE.values():
        for module in modules:
            code_digests(module)


def used(section: str, settings: BaseModel, *names: str) -> dict[str, Any]:
    """Give the named settings of a stage as parts of a key."""
    values = settings.model_dump(mode="json")
    return {f"{section}.{name}": values[name] for name in names}


def runtime_library(serving: ServingSettings) -> str:
    """Give the distribution that computes the answers."""
    return "ai-edge-litert" if serving.runtime == "litert" else "tensorflow"


def dataset_key(name: str, local: Mapping[str, str], base: Artifact | None, how: Mapping[str, Any]) -> Key:
    """Key of a dataset: its name, the files or the content found locally, its base, and how it is made.

    Nothing in it is a path: the same content gives the same key on every machine.
    """
    inputs = {f"file {path}": digest for path, digest in local.items()}
    if base is not None:
        inputs["base"] = base.digest
    return make_key(
        modules=CODE["dataset"],
        inputs=inputs,
        settings={"dataset": name} | {f"dataset.{part}": value for part, value in how.items()},
        libraries=["numpy", "pillow"],
    )


def classifier_key(dataset: Artifact, data: DataSettings, classifier: ClassifierSettings) -> Key:
    """Key of the trained classifier."""
    return make_key(
        modules=CODE["classifier"],
        inputs={"dataset": dataset.digest},
        settings=used("data", data, "held_out", "limit")
        | used("classifier", classifier, *CLASSIFIER_KEY_FIELDS),
        libraries=["numpy", "tensorflow"],
    )


def concept_key(dataset: Artifact, data: DataSettings, concept: ConceptSettings) -> Key:
    """Key of the trained concept."""
    return make_key(
        modules=CODE["concept"],
        inputs={"dataset": dataset.digest},
        settings=used("data", data, "held_out", "limit") | used("concept", concept, *CONCEPT_KEY_FIELDS),
        libraries=["numpy", "tensorflow"],
    )


def release_key(
    dataset: Artifact,
    classifier: Artifact,
    concept: Artifact,
    data: DataSettings,
    concept_settings: ConceptSettings,
    judging: JudgingSettings,
) -> Key:
    """Key of the release: both networks, the held-out images of the threshold, and its rate."""
    return make_key(
        modules=CODE["release"],
        inputs={"dataset": dataset.digest, "classifier": classifier.digest, "concept": concept.digest},
        settings=used("data", data, "held_out", "limit")
        | used("concept", concept_settings, "activation", "score")
        | used("judging", judging, "false_positive_rate"),
        libraries=["numpy", "tensorflow"],
    )


def scores_key(
    release_digest: str,
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    data: DataSettings,
    serving: ServingSettings,
) -> Key:
    """Key of what a release answers, through a server, for the test images and every outlier set."""
    inputs = {"release": release_digest, "dataset": dataset.digest}
    return make_key(
        modules=CODE["scores"],
        inputs=inputs | {f"set {name}": sets[name].digest for name in sets},
        settings=used("data", data, "limit") | used("serving", serving, "runtime"),
        libraries=["numpy", "orjson", runtime_library(serving)],
    )


def verdict_key(
    release: Artifact,
    rivals: Sequence[Rival],
    dataset: Artifact,
    sets: Mapping[str, Artifact],
    primary: str,
    data: DataSettings,
    judging: JudgingSettings,
    serving: ServingSettings,
) -> Key:
    """Key of the verdict on a release: what was measured, beside which versions, and what is required.

    Where a latency is required, the machine that measures it is part of what was measured.
    """
    inputs = {"release": release.digest, "dataset": dataset.digest}
    inputs |= {f"rival {rival.version}": rival.digest for rival in rivals}
    roles = {rival.version: dict(rival.roles) for rival in rivals}
    every = [name for name in JudgingSettings.model_fields if name != "request_images"]
    return make_key(
        modules=CODE["verdict"],
        inputs=inputs | {f"set {name}": sets[name].digest for name in sets},
        settings={"primary": primary, "wanted": data.outliers[0], "rivals": roles}
        | ({"machine": this_machine()} if judging.max_latency_ms > 0 else {})
        | used("data", data, "held_out", "limit")
        | used("judging", judging, *every)
        | used("serving", serving, "runtime"),
        libraries=["ai-edge-litert", "numpy", "orjson", "tensorflow"],
    )
