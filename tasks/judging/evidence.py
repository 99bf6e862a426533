"""Brings together what a verdict is reached on: the sets, what was answered, the release's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tasks.datasets.pixels import scale
from tasks.datasets.selection import tested_rows, training_rows
from tasks.judging.case import Case, References
from tasks.judging.comparison import Rival
from tasks.judging.latency import Latency
from tasks.judging.scores import Scores
from tasks.judging.sets import TEST
from tasks.release.inprocess import load_saved_model, run_litert
from tasks.release.reader import Release

if TYPE_CHECKING:
    from tasks.question import Question


def make_case(
    release: Release,
    question: Question,
    *,
    candidate: Scores,
    rivals: Sequence[Rival],
    dataset: Path,
    sets: Mapping[str, NDArray[Any]],
    latency: tuple[Latency, ...],
    machine: str,
) -> Case:
    """Give the case of a release; it answers the test rows and the primary outliers in this process.

    `dataset` is the folder of the question's dataset, `sets` come from `load_sets`, `latency` was measured on
    `machine`.
    """
    ask = load_saved_model(release.folder)
    data = question.data
    compared = {name: scale(sets[name]) for name in (TEST, question.primary) if name}  # float32 (N, ...)
    return Case(
        candidate=candidate,
        rivals=tuple(rivals),
        sets=sets,
        test=TEST,
        primary=question.primary,
        wanted=question.wanted,
        primary_is_made=question.primary_is_made,
        own_gates=question.gates,
        classes=question.description.classes,
        test_labels=tested_rows(dataset, limit=data.limit).known_labels(),
        train_rows=training_rows(dataset, held_out=data.held_out, limit=data.limit).images,
        references=References(
            saved_model={name: ask(rows) for name, rows in compared.items()},
            litert={name: run_litert(release.tflite, rows) for name, rows in compared.items()},
        ),
        threshold=release.threshold,
        held_out=int(release.manifest["held_out"]["images"]),
        scales=release.scales,
        release={"digest": question.release.digest},
        latency=latency,
        machine=machine,
    )
