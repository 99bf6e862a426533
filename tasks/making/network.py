"""A network: learnt from all training rows but the held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.selection import training_rows
from tasks.making.room import check_room

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings
    from settings.model import Description, Network, Training

WEIGHTS = "weights.npz"
CURVE = "curve.csv"


def make_network(
    folder: Path,
    network: Network,
    settings: Training,
    dataset: Path,
    description: Description,
    data: DataSettings,
    *,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> dict[str, str]:
    """Write weights.npz and curve.csv into `folder`, trained on the dataset of another one.

    Gives notes of the making: the `precision` that the products had on this machine. Raises Stopped and
    Diverged as loop.train does, WrongInput where the network does not fit the data.
    """
    from tasks.models import hardware
    from tasks.models.building import build
    from tasks.models.checkpoints import write_arrays
    from tasks.models.loop import train
    from tasks.store.files import write_bytes

    hardware.configure_threads(side_by_side=network.side_by_side)
    built = build(network, settings, description)
    check_room(folder, network.name, built.variables)
    seen = training_rows(dataset, held_out=data.held_out, limit=data.limit)
    tensors = built.tensors(seen.images, seen.labels if network.role != "classifier" else seen.known_labels())
    trained = train(
        network.name, built, tensors, settings=settings, checkpoints=checkpoints, should_stop=should_stop
    )
    write_arrays(folder / WEIGHTS, built.weights(trained.values))
    write_bytes(folder / CURVE, trained.curve(settings.display_steps).encode())
    return {"precision": built.precision}
