"""The concept autoencoder: learnt from all training images but the held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.selection import training_images

if TYPE_CHECKING:
    from settings.hyperparameters import ConceptSettings, DataSettings


def make_concept(
    folder: Path,
    dataset: Path,
    data: DataSettings,
    concept: ConceptSettings,
    *,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Write weights and learning curve into `folder`, trained on the dataset of another one; give notes."""
    from tasks.models.concept import train_concept

    seen = training_images(dataset, held_out=data.held_out, limit=data.limit)
    return train_concept(
        folder, seen.images, settings=concept, checkpoints=checkpoints, should_stop=should_stop
    )
