"""Sound networks of any kind pass the parity gates' comparison, and altered ones do not.

What rounding does to a network depends on its weights. Three kinds: those of the preset of the source
project, from N(0, 1) and with a sigmoid everywhere; layers of 8,192 units; and what a very long training
makes, small logits that are left of terms a thousand times as large.
"""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.hyperparameters import ClassifierSettings, ConceptSettings, JudgingSettings
from settings.model import Description
from tasks.channels.client import Client
from tasks.channels.local import LocalBackend
from tasks.models.builtin import BUILT_IN
from tasks.release.contract import TFLITE
from tasks.release.document import Wanted
from tasks.release.inprocess import Answers, load_saved_model, run_litert
from tasks.release.parity import Parity, compare
from tasks.release.reader import Release
from tests.channels.conftest import free_port

PRESET = Path(__file__).parents[2] / "presets/source.toml"
BEFORE = {
    "logits": 0.1,
    "probabilities": 0.1,
    "score": 0.1,
}  # 1e-4 of the value and 1e-5, once for all networks
Weights = dict[str, np.ndarray]


def normal(units: tuple[int, ...], deviation: Any, seed: int) -> Weights:
    """Give weights from N(0, deviation(inputs))."""
    random = np.random.default_rng(seed)
    weights = {}
    for layer, (inputs, outputs) in enumerate(pairwise(units), start=1):
        weights[f"kernel_{layer}"] = random.normal(0, deviation(inputs), (inputs, outputs)).astype(np.float32)
        weights[f"bias_{layer}"] = random.normal(0, deviation(inputs), outputs).astype(np.float32)
    return weights


def he(inputs: int) -> float:
    """Give the deviation by which activations keep their size."""
    return float(np.sqrt(2 / inputs))


def of_a_wide_one(inputs: int) -> float:
    """Give the deviation of trained weights: each moves as far as in a narrow layer, so more is summed."""
    return 5 * he(inputs)


def grown(weights: Weights) -> Weights:
    """Let the terms of the logits be a thousand times as large; some of their sums are small all the same."""
    return weights | {"kernel_3": 1_000 * weights["kernel_3"]}


def make(name: str) -> dict[str, Any]:
    """Give the weights of both networks, and the settings that they have."""
    sizes, hidden = (784, 256, 64, 10), 256
    if name == "wide":
        sizes, hidden = (784, 8_192, 64, 10), 8_192
    concept = ConceptSettings(hidden=hidden)
    if name == "source":
        concept = ConceptSettings(**tomllib.loads(PRESET.read_text())["concept"])
    deviation = {"source": lambda inputs: 1.0, "wide": of_a_wide_one, "long": he}[name]
    classifier = normal(sizes, deviation, 1)
    return {
        "classifier": grown(classifier) if name == "long" else classifier,
        "concept": normal((784, hidden, 128, hidden, 784), deviation if name == "source" else he, 2),
        "settings": {"classifier": ClassifierSettings(hidden_1=sizes[1]), "concept": concept},
    }


@pytest.fixture(scope="module", params=["source", "wide", "long"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a release of such a network, candidate 1 of a models root; not to be changed."""
    from tasks.release.export import export

    root = tmp_path_factory.mktemp(request.param)
    made = make(request.param)
    for kind in ("classifier", "concept"):
        (root / kind).mkdir()
        np.savez(root / kind / "weights.npz", **made.pop(kind))
    folder = root / "candidates/mnist/1"
    folder.mkdir(parents=True)
    export(
        folder,
        BUILT_IN,
        Description(shape=(28, 28), classes=tuple("0123456789")),
        networks={kind: root / kind for kind in ("classifier", "concept")},
        held_out=drawn(seed=3, count=500),
        false_positive_rate=0.05,
        facts={},
        **made,
    )
    return folder


def drawn(seed: int, count: int) -> np.ndarray:
    """Give images of blurred strokes, uint8 (count, 28, 28)."""
    noise = np.random.default_rng(seed).normal(0, 1, (count, 28, 28))
    smooth = sum(np.roll(noise, (y, x), (1, 2)) for y in range(-2, 3) for x in range(-2, 3)) / 5
    return np.clip(255 * smooth, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def imgs() -> np.ndarray:
    """Give images that no network has seen, float32 (2000, 28, 28)."""
    return drawn(seed=4, count=2_000) / np.float32(255)


@pytest.fixture(scope="module")
def saved_model(network: Path, imgs: np.ndarray) -> Answers:
    """Give what the SavedModel answers."""
    return load_saved_model(network)(imgs)


def held(answers: Answers, reference: Answers, release: Release, scales: Any = None) -> Parity:
    """Compare as the gates do."""
    return compare(
        answers,
        reference,
        rtol=JudgingSettings().parity_rtol,
        scales=scales or release.scales,
        threshold=release.threshold,
    )


def test_litert_answers_as_the_saved_model(network: Path, imgs: np.ndarray, saved_model: Answers) -> None:
    """By the scale of the network; a tolerance that is the same for all networks refuses it."""
    release, answers = Release(network), run_litert(network / TFLITE, imgs)
    parity = held(answers, saved_model, release)
    assert parity.agree, parity
    assert parity.largest_used < 0.5
    assert not held(answers, saved_model, release, BEFORE).agree


def test_the_endpoint_answers_as_the_saved_model(
    network: Path, imgs: np.ndarray, saved_model: Answers
) -> None:
    """Through a real server."""
    candidates = network.parent
    root = candidates.parents[1]
    backend = LocalBackend(
        models_root=root,
        name="mnist",
        releases=root / "mnist",
        candidates=candidates,
        host="127.0.0.1",
        ports={"stage": free_port(), "production": free_port()},
    )
    try:
        endpoint = backend.put("stage", Wanted(1), should_stop=lambda: False)
        with Client(endpoint) as client:
            parts = [client.predict(imgs[start : start + 250]).outputs for start in range(0, len(imgs), 250)]
    finally:
        backend.remove("stage")
    answers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    parity = held(answers, saved_model, Release(network))
    assert parity.agree, parity


@pytest.mark.parametrize("how", ["scaled", "scattered"])
def test_a_layer_that_is_one_percent_off_is_seen(
    network: Path, imgs: np.ndarray, saved_model: Answers, how: str
) -> None:
    """Each layer of either network, all of its weights 1 % larger, or each 1 % larger or smaller."""
    import tensorflow as tf

    model = tf.saved_model.load(str(network))
    weights_by_name = [*model.classifier.items(), *model.concept.items()]
    layers = [variable for name, variable in weights_by_name if name.startswith("kernel")]
    assert len(layers) == 7
    seen = slice(0, 500)
    reference = {name: values[seen] for name, values in saved_model.items()}
    for layer in layers:
        weights = layer.numpy()
        signs = np.random.default_rng(5).choice(np.float32([-1, 1]), weights.shape)
        layer.assign(weights * (1 + np.float32(0.01) * (1 if how == "scaled" else signs)))
        outputs = model.signatures["serving_default"](imgs=tf.constant(imgs[seen]))
        layer.assign(weights)
        parity = held({name: output.numpy() for name, output in outputs.items()}, reference, Release(network))
        assert not parity.agree, (layer.name, weights.shape)


def test_other_weights_and_a_wrong_class_are_seen(network: Path, saved_model: Answers) -> None:
    """Answers of other images stand for those of another model; one class alone is enough."""
    release = Release(network)
    others = {name: np.roll(values, 1, axis=0) for name, values in saved_model.items()}
    outputs = {difference.output for difference in held(others, saved_model, release).differences}
    assert outputs >= {"logits", "score"}

    gaps = np.sort(saved_model["logits"], axis=1)[:, -1] - np.sort(saved_model["logits"], axis=1)[:, 0]
    row = int(np.argmax(gaps))
    classes = saved_model["class_ids"].copy()
    classes[row] = saved_model["logits"][row].argmin()
    (difference,) = held({**saved_model, "class_ids": classes}, saved_model, release).differences
    assert (difference.output, difference.rows, difference.first) == ("class_ids", 1, row)
