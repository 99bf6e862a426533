"""Brings together what a verdict is reached on: the sets, what was answered, the release's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from settings.errors import WrongInput
from tasks.datasets.pixels import scale
from tasks.datasets.selection import tested_images, training_images
from tasks.judging.case import Case, References
from tasks.judging.comparison import Rival
from tasks.judging.latency import Latency
from tasks.judging.scores import Scores
from tasks.judging.sets import TEST
from tasks.release.inprocess import load_saved_model, run_litert
from tasks.release.reader import Release


def make_case(
    release: Release,
    *,
    candidate: Scores,
    rivals: Sequence[Rival],
    digest: str,
    dataset: Path,
    sets: Mapping[str, NDArray[np.uint8]],
    primary: str,
    wanted: str,
    held_out: int,
    limit: int,
    latency: tuple[Latency, ...],
    machine: str,
) -> Case:
    """Give the case of a release; it answers the test images and the primary outliers in this process.

    `digest` is the release's, `sets` come from `load_sets`, `wanted` is the set that was to be primary,
    `held_out` and `limit` are as it was trained, `latency` was measured on
    `machine`.
    """
    if release.threshold is None:
        raise WrongInput(f"{release.folder} has no score to judge")
    ask = load_saved_model(release.folder)
    compared = {name: scale(sets[name]) for name in (TEST, primary)}  # float32 (N, 28, 28)
    return Case(
        candidate=candidate,
        rivals=tuple(rivals),
        sets=sets,
        test=TEST,
        primary=primary,
        wanted=wanted,
        test_labels=tested_images(dataset, limit=limit).known_labels(),
        train_images=training_images(dataset, held_out=held_out, limit=limit).images,
        references=References(
            saved_model={name: ask(imgs) for name, imgs in compared.items()},
            litert={name: run_litert(release.tflite, imgs) for name, imgs in compared.items()},
        ),
        threshold=release.threshold,
        scales=release.scales,
        release={"digest": digest},
        latency=latency,
        machine=machine,
    )
