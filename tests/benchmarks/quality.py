"""How good the two networks are, over several seeds: accuracy, and AUROC of the concept's score.

    python tests/benchmarks/quality.py [--notmnist notmnist-sample]

Reads the datasets of a delivery, or fetches them; where notMNIST cannot be had, its rows are left out. The
networks are trained on the first 55,000 images.
Hyperparameters are chosen with `--on held-out`, which measures on the last 5,000 training images and, as
outliers, Fashion-MNIST's training images; the test images (`--on test`, the default) only confirm the choice.
notMNIST has no such split: its images are measured in both.
Ends with 1 when a mean is below what is required.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from settings.model import Description
from tasks.datasets.errors import Unreachable
from tasks.models.loading import load_tensorflow
from tasks.opening import open_dataset

if TYPE_CHECKING:
    from settings.model import Network, Training

Images = npt.NDArray[np.uint8]

HELD_OUT = 5_000
MNIST = Description(shape=(28, 28), classes=tuple("0123456789"))

REQUIRED = {
    "accuracy, 1,000 steps": 0.980,
    "accuracy, 10,000 steps": 0.983,
    "accuracy, default steps": 0.980,
    "AUROC notMNIST": 0.9999,
    "AUROC Fashion-MNIST": 0.9995,
    "AUROC dimmed notMNIST": 0.99,
    "AUROC blank": 0.99,
}
TRIED_FOR = {"AUROC rotated": 0.97, "AUROC mirrored": 0.90}


@dataclass(frozen=True)
class Sets:
    """What is measured on: images with labels in the distribution, and named sets outside of it."""

    images: Images
    labels: Images
    outliers: Mapping[str, Images]


def main() -> int:
    """Trains, measures, and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--notmnist", default="notmnist-small", help="the dataset that has its letters")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, help="of each training, instead of those of the rows: for a try")
    parser.add_argument("--on", choices=["test", "held-out"], default="test")
    arguments = parser.parse_args()
    load_tensorflow()

    sets = choose_sets(arguments.notmnist, arguments.on)
    digits = open_dataset("mnist", "train").take(slice(-HELD_OUT))
    runs = [
        measure(digits.images, digits.known_labels(), sets, seed, arguments.steps) for seed in arguments.seeds
    ]
    print(f"| on {arguments.on} | mean | lowest | highest | required |")
    print("|---|---|---|---|---|")
    missed = 0
    for name in runs[0]:
        values = [run[name] for run in runs]
        required = f"{REQUIRED[name]}" if name in REQUIRED else ""
        required = f"try for {TRIED_FOR[name]}" if name in TRIED_FOR else required
        missed += float(np.mean(values)) < REQUIRED.get(name, 0)
        print(f"| {name} | {np.mean(values):.5f} | {min(values):.5f} | {max(values):.5f} | {required} |")
    return int(missed > 0)


def choose_sets(notmnist: str, on: str) -> Sets:
    """The test images, or what hyperparameters may be chosen on."""
    if on == "test":
        digits, clothes = open_dataset("mnist", "test"), open_dataset("fashion-mnist", "test").images
    else:
        digits = open_dataset("mnist", "train").take(slice(-HELD_OUT, None))
        clothes = open_dataset("fashion-mnist", "train").images[:10_000]
    images, labels = digits.images, digits.known_labels()
    outliers = {
        **letters(notmnist),
        "Fashion-MNIST": clothes,
        "blank": np.zeros((100, 28, 28), np.uint8),
        "rotated": np.rot90(images, axes=(1, 2)),
        "mirrored": images[:, :, ::-1],
        "noise": np.random.default_rng(1).integers(0, 256, (2_000, 28, 28)).astype(np.uint8),
    }
    return Sets(images, labels, outliers)


def letters(name: str) -> dict[str, Images]:
    """The letters of notMNIST, as they are and dimmed; nothing where they cannot be had."""
    try:
        images = open_dataset(name, "test").images
    except Unreachable as error:
        print(f"without notMNIST: {error}", file=sys.stderr)
        return {}
    return {"notMNIST": images, "dimmed notMNIST": np.rint(images * 0.3).astype(np.uint8)}


def measure(
    images: Images, labels: Images, sets: Sets, seed: int, steps: int | None = None
) -> dict[str, float]:
    """All figures of one seed; PCA stands beside the concept, as the bar to clear."""
    from settings.hyperparameters import ClassifierSettings, ConceptSettings
    from tasks.datasets.pixels import scale
    from tasks.judging.baselines import fit_principal_components
    from tasks.judging.statistics import auroc
    from tasks.models.builtin import CLASSIFIER, CONCEPT

    figures: dict[str, float] = {}
    forms: dict[str, dict[str, Any]] = {
        "1,000 steps": {"steps": 1_000},
        "10,000 steps": {"steps": 10_000},
        "default steps": {},
    }
    limited = {} if steps is None else {"steps": steps}
    for name, changes in forms.items():
        chosen = ClassifierSettings(seed=seed, **(changes | limited))
        classifier, seconds = trained(CLASSIFIER, chosen, images, labels)
        figures[f"seconds, classifier, {name}"] = seconds
        answers = classifier(scale(sets.images))[0].argmax(axis=1)
        figures[f"accuracy, {name}"] = float((answers == sets.labels).mean())

    settings = ConceptSettings(seed=seed, **limited)
    network, figures["seconds, concept"] = trained(CONCEPT, settings, images, None)

    def concept(imgs: Images) -> Any:
        return network(scale(imgs))[1]

    pca = fit_principal_components(images)
    normal, normal_pca = concept(sets.images), pca.score(sets.images)
    for name, outliers in sets.outliers.items():
        figures[f"AUROC {name}"] = auroc(normal, concept(outliers))
    for name in ("notMNIST", "Fashion-MNIST"):
        if name not in sets.outliers:
            continue
        figures[f"AUROC {name}, PCA-64"] = auroc(normal_pca, pca.score(sets.outliers[name]))
    return figures


def trained(
    network: Network, settings: Training, images: Images, labels: Images | None
) -> tuple[Callable[[Any], tuple[Any, Any]], float]:
    """A function that gives outputs and scores of rows by the trained network, and how long it took."""
    from tasks.models import hardware
    from tasks.models.building import build
    from tasks.models.loop import train

    started = time.perf_counter()
    hardware.configure_threads(side_by_side=network.side_by_side)
    built = build(network, settings, MNIST)
    with tempfile.TemporaryDirectory() as folder:
        made = train(
            network.name,
            built,
            built.tensors(images, labels),
            settings=settings,
            checkpoints=Path(folder),
            should_stop=lambda: False,
        )
    weights = built.weights(made.values)
    seconds = time.perf_counter() - started

    def answer(rows: Any) -> tuple[Any, Any]:
        output = built.forward(weights, rows)
        scored = built.score(rows, output).numpy() if network.role == "autoencoder" else None
        return output.numpy(), scored

    return answer, seconds


if __name__ == "__main__":
    sys.exit(main())
