"""Makes a release of the two trained networks: SavedModel, LiteRT file, golden answers and manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from settings.errors import WrongInput
from tasks.datasets.pixels import scale
from tasks.models.networks import Activation
from tasks.models.score import Form
from tasks.release import contract, litert, saved_model, signatures
from tasks.release.golden import golden_images
from tasks.release.inprocess import BATCH, in_batches, load_saved_model
from tasks.release.scales import measure_scales
from tasks.release.threshold import choose_threshold
from tasks.store.files import sha256_of, write_json
from tasks.store.schema import SCHEMA

logger = logging.getLogger(__name__)

_MEASURED = {"schema", "threshold", "false_positive_rate", "held_out", "scales", "signatures", "digests"}

_SCALES_ON = 250  # held-out images


def export(
    folder: Path,
    *,
    classifier: Path,
    concept: Path,
    held_out: np.ndarray,
    false_positive_rate: float,
    activation: Activation,
    score_form: Form,
    facts: Mapping[str, Any],
) -> None:
    """Write a release into `folder`, the manifest last; the same inputs give the same bytes.

    `classifier` and `concept` are folders with a weights.npz. `held_out` are training images that no weight
    has seen, uint8 (H, 28, 28): the threshold is set on their scores. `facts` is JSON that the manifest
    takes over: where the release comes from.
    """
    if taken := sorted(facts.keys() & _MEASURED):
        raise ValueError(f"the facts {', '.join(taken)} are the manifest's own")
    classifier_weights = _weights(classifier)
    concept_weights = _weights(concept)
    release = signatures.release(
        classifier_weights, concept_weights, activation=activation, score_form=score_form
    )

    imgs = scale(held_out)  # (H, 28, 28) float32
    scores = _scores(release, imgs)  # (H,)
    threshold = choose_threshold(scores, false_positive_rate)
    release.module.threshold.assign(threshold)
    flagged = int(np.count_nonzero(scores > threshold))
    logger.info("threshold %.6g flags %d of %d held-out images", threshold, flagged, len(scores))

    golden = golden_images(imgs, scores <= threshold)
    scales = measure_scales(release, imgs[:_SCALES_ON])

    saved_model.write(folder, release)
    saved_model.write(folder / contract.CLASSIFIER_ALONE, signatures.classifier_alone(classifier_weights))
    saved_model.write(
        folder / contract.CONCEPT_ALONE, signatures.concept_alone(concept_weights, activation=activation)
    )
    litert.write(folder / contract.TFLITE, release, contract.SIGNATURES)
    _write_golden(folder, golden)
    _write_manifest(
        folder,
        {
            **facts,
            "schema": SCHEMA,
            "threshold": float(threshold),
            "false_positive_rate": false_positive_rate,
            "held_out": {"images": len(scores), "flagged": flagged},
            "scales": scales,
            "signatures": contract.describe(contract.SIGNATURES),
        },
    )


def _weights(folder: Path) -> dict[str, np.ndarray]:
    path = folder / "weights.npz"
    if not path.is_file():
        raise WrongInput(f"{path} does not exist; train the network again")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32, copy=False) for name in arrays.files}


def _scores(release: signatures.Signed, imgs: np.ndarray) -> np.ndarray:
    """The scores (H,) by the very function that is exported."""
    serving_default = release.functions["serving_default"]
    return in_batches(lambda part: {"score": serving_default(part)["score"].numpy()}, imgs, BATCH)["score"]


def _write_golden(folder: Path, imgs: np.ndarray) -> None:
    """Write the images and what the SavedModel, as it stands in the folder, answers by each signature."""
    answers: dict[str, Any] = {"imgs": imgs}
    ask = load_saved_model(folder)
    for name, signature in contract.SIGNATURES.items():
        outputs = ask(imgs, name)
        answers |= {output: outputs[output] for output in signature.outputs}  # in an order that is fixed
    np.savez(folder / contract.GOLDEN, **answers)


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with the digests of all that is in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    write_json(folder / contract.MANIFEST, {**manifest, "digests": digests})
