"""Makes a release of the trained networks: SavedModel, LiteRT file, golden answers and manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from settings.errors import WrongInput
from tasks.datasets.pixels import scale
from tasks.models.building import build
from tasks.release import contract, litert, saved_model, signatures
from tasks.release.golden import golden_rows
from tasks.release.inprocess import BATCH, Answers, in_batches, load_saved_model
from tasks.release.parity import compare
from tasks.release.promise import DEFAULT, SCORE, promised
from tasks.release.scales import measure_scales
from tasks.release.signatures import Part
from tasks.release.threshold import choose_threshold
from tasks.store.files import sha256_of, write_json
from tasks.store.schema import SCHEMA

if TYPE_CHECKING:
    from settings.model import Description, Model, Training

logger = logging.getLogger(__name__)

_MEASURED = {
    "schema",
    "classes",
    "row",
    "threshold",
    "false_positive_rate",
    "held_out",
    "scales",
    "signatures",
    "digests",
}

_SCALES_ON = 250  # held-out rows
_MEMORY_RTOL = 1e-4  # as between the endpoint and the SavedModel


def export(
    folder: Path,
    model: Model,
    description: Description,
    *,
    networks: Mapping[str, Path],
    settings: Mapping[str, Training],
    held_out: np.ndarray,
    false_positive_rate: float,
    facts: Mapping[str, Any],
) -> None:
    """Write a release into `folder`, the manifest last; the same inputs give the same bytes.

    `networks` are the folders with the weights.npz of each network by name, `settings` what it was trained
    with. `held_out` are training rows that no weight has seen, (H, ...) as they are stored: the threshold is
    set on their scores. `facts` is JSON that the manifest takes over: where the release comes from.
    """
    if taken := sorted(facts.keys() & _MEASURED):
        raise ValueError(f"the facts {', '.join(taken)} are the manifest's own")
    parts = {
        network.name: Part(
            network,
            build(network, settings[network.name], description),
            _weights(networks[network.name]),
        )
        for network in model.networks
    }
    release = signatures.release(model, description, parts)
    expected = signatures.described(release, model, promised(model, description))

    rows = scale(held_out)  # (H, ...) float32
    is_in = np.ones(len(rows), bool)
    judged: dict[str, Any] = {"held_out": {"images": len(rows)}}
    if model.scorer is not None:
        scores = _scores(release, rows)  # (H,)
        threshold = choose_threshold(scores, false_positive_rate)
        release.module.threshold.assign(threshold)
        is_in = scores <= threshold
        flagged = int(np.count_nonzero(~is_in))
        logger.info("threshold %.6g flags %d of %d held-out rows", threshold, flagged, len(scores))
        judged["held_out"]["flagged"] = flagged
        judged |= {"threshold": float(threshold), "false_positive_rate": false_positive_rate}

    golden = golden_rows(rows, is_in, description)
    scales = measure_scales(release, rows[:_SCALES_ON])

    saved_model.write(folder, release)
    _write_alone(folder, model, description, parts)
    litert.write(folder / contract.TFLITE, release, expected)
    answers = _write_golden(folder, golden, expected)
    _check_answers(model, parts, golden, answers, scales)
    _write_manifest(
        folder,
        {
            **facts,
            **judged,
            "schema": SCHEMA,
            "row": description.model_dump(mode="json", exclude={"classes"}),
            "classes": list(description.classes),
            "scales": scales,
            "signatures": contract.describe(expected),
        },
    )


def _write_alone(folder: Path, model: Model, description: Description, parts: Mapping[str, Part]) -> None:
    """Write the classifier, and an autoencoder, as SavedModels of their own beside the release's."""
    classifier = parts[model.classifier.name]
    saved_model.write(
        folder / contract.CLASSIFIER_ALONE, signatures.classifier_alone(model, description, classifier)
    )
    if model.scorer is not None and model.scorer.role == "autoencoder":
        autoencoder = parts[model.scorer.name]
        saved_model.write(
            folder / contract.ALONE / model.scorer.name,
            signatures.autoencoder_alone(description, autoencoder),
        )


def _weights(folder: Path) -> dict[str, np.ndarray]:
    path = folder / "weights.npz"
    if not path.is_file():
        raise WrongInput(f"{path} does not exist; train the network again")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _scores(release: signatures.Signed, rows: np.ndarray) -> np.ndarray:
    """The scores (H,) by the very function that is exported."""
    answer = release.functions[DEFAULT]
    return in_batches(lambda part: {SCORE: answer(part)[SCORE].numpy()}, rows, BATCH)[SCORE]


def _write_golden(folder: Path, rows: np.ndarray, expected: Mapping[str, contract.Signature]) -> Answers:
    """Write the rows and what the SavedModel, as it stands in the folder, answers by each signature."""
    answers: dict[str, Any] = {contract.GOLDEN_ROWS: rows}
    ask = load_saved_model(folder)
    for name, signature in expected.items():
        outputs = ask(rows, name)
        answers |= {output: outputs[output] for output in signature.outputs}  # in an order that is fixed
    np.savez(folder / contract.GOLDEN, **answers)
    return answers


def _check_answers(
    model: Model, parts: Mapping[str, Part], rows: np.ndarray, answers: Answers, scales: Mapping[str, float]
) -> None:
    """Raise RuntimeError where the SavedModel does not answer what the networks in memory do.

    Outputs that are not finite are left to the judging, which has a gate for them.
    """
    import tensorflow as tf

    given = tf.constant(rows)
    classifier = parts[model.classifier.name]
    memory = {"logits": classifier.trainable.forward(classifier.weights, given)}
    if model.scorer is not None:
        scorer = parts[model.scorer.name]
        output = scorer.trainable.forward(scorer.weights, given)
        memory[SCORE] = scorer.trainable.score(given, output)
    memory = {name: values.numpy() for name, values in memory.items()}
    memory = {name: values for name, values in memory.items() if np.isfinite(values).all()}
    parity = compare(answers, memory, rtol=_MEMORY_RTOL, scales=scales, threshold=None)
    if not parity.agree:
        raise RuntimeError(f"the SavedModel does not answer as the networks in memory do: {parity}")


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with the digests of all that is in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    write_json(folder / contract.MANIFEST, {**manifest, "digests": digests})
