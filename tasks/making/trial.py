"""A model is tried before it is trained: what would fail after an hour fails within seconds.

Each network learns from one batch, and the untrained networks are exported, converted and asked once.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from settings.errors import SlipwayError, WrongInput
from tasks.datasets.selection import training_rows

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings
    from settings.model import Description, Model, Network, Training
    from tasks.release.contract import Signature
    from tasks.release.signatures import Part, Signed

logger = logging.getLogger(__name__)

ASKED = 2  # rows
UNKNOWN = "tensor<?x?x"  # of the converter: neither the number of rows nor their height is known
LACKING = re.compile(r"'?\b(?:tf|Flex)[.:]?\s*([A-Z]\w+)'?")


def try_model(
    model: Model,
    settings: Mapping[str, Training],
    dataset: Path,
    description: Description,
    data: DataSettings,
) -> None:
    """Raise WrongInput, which names the network, where a model cannot be trained, exported or converted."""
    parts = {
        network.name: _try_network(network, settings[network.name], dataset, description, data)
        for network in model.networks
    }
    _try_export(model, description, parts)


def _try_network(
    network: Network, settings: Training, dataset: Path, description: Description, data: DataSettings
) -> Part:
    import tensorflow as tf

    from tasks.models import hardware
    from tasks.models.building import build
    from tasks.release.signatures import Part

    hardware.configure_threads(side_by_side=network.side_by_side)
    built = build(network, settings, description)
    seen = training_rows(dataset, held_out=data.held_out, limit=data.limit).take(
        slice(None, settings.batch_size)
    )
    labels = seen.known_labels() if network.role == "classifier" else seen.labels
    values = {**built.variables, **built.state}
    try:
        tensors = built.tensors(seen.images, labels)
        held = {name: tf.convert_to_tensor(value) for name, value in values.items()}
        loss, gradients, _ = built.loss_and_gradients(held, tensors, tf.constant([settings.seed, 0]))
        loss = float(loss)
    except SlipwayError:
        raise
    except Exception as error:
        raise WrongInput(
            f"{network.name}: a batch cannot be learnt from: {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite(loss):
        raise WrongInput(f"{network.name}: the loss of the first batch is {loss}")
    if missing := built.variables.keys() - gradients.keys():
        raise WrongInput(f"{network.name}: there is no gradient by {', '.join(sorted(missing))}")
    logger.info("%s: loss %.4f of the first batch", network.name, loss)
    return Part(network, built, built.weights(values))


def _try_export(model: Model, description: Description, parts: Mapping[str, Part]) -> None:
    from tasks.models.loading import native_stderr_aside
    from tasks.release import signatures
    from tasks.release.inprocess import run_litert
    from tasks.release.promise import promised

    rows = np.zeros((ASKED, *description.shape), np.float32)
    release = signatures.release(model, description, parts)
    expected = signatures.described(release, model, promised(model, description))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        with native_stderr_aside():  # the converter prints pages
            failure = _converted(path, release, expected)
        if failure is not None:
            raise WrongInput(f"the networks cannot be converted to LiteRT: {_reason(failure)}") from failure
        for name in expected:
            try:
                run_litert(path, rows, signature=name)
            except Exception as error:
                raise WrongInput(f"LiteRT does not run the signature {name}: {error}") from error


def _converted(path: Path, release: Signed, expected: dict[str, Signature]) -> Exception | None:
    """Write a LiteRT file; give what keeps it from being written."""
    from tasks.release import litert

    try:
        litert.write(path, release, expected)
    except Exception as error:
        return error
    return None


def _reason(error: Exception) -> str:
    """Give the operations that LiteRT lacks, by name, else what was said."""
    text = str(error)
    lacking = sorted(set(LACKING.findall(text)))
    if not lacking:
        return f"{type(error).__name__}: {text}"
    unknown = ""
    if UNKNOWN in text:
        unknown = (
            "; the height and width that it gets are not known when it is converted, as behind an "
            'UpSampling2D (with interpolation="bilinear", or a Conv2DTranspose, they are)'
        )
    return f"LiteRT lacks {', '.join(lacking)}{unknown}"
