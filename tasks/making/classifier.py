"""The classifier: learnt from all training images but the held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.selection import training_images

if TYPE_CHECKING:
    from settings.hyperparameters import ClassifierSettings, DataSettings


def make_classifier(
    folder: Path,
    dataset: Path,
    data: DataSettings,
    classifier: ClassifierSettings,
    *,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Write weights and learning curve into `folder`, trained on the dataset of another one; give notes."""
    from tasks.models.classifier import train_classifier

    seen = training_images(dataset, held_out=data.held_out, limit=data.limit)
    return train_classifier(
        folder,
        seen.images,
        seen.known_labels(),
        settings=classifier,
        checkpoints=checkpoints,
        should_stop=should_stop,
    )
