"""How many images a second the training loop takes, against keras.fit on arrays at the same batch size.

    python tests/benchmarks/training_speed.py

Both sides run in turn, round after round, each in a process of its own that has compiled before; the ratio is
that of one round, since machines and their load differ. Keras trains the same networks in float32 with Adam
(the concept on the plain images: it has no patches to restore). Ends with 1 when a median ratio is too low.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np

IMAGES, BATCH_SIZE = 55_000, 256

REQUIRED = {"classifier": 3.0, "concept": 2.5, "concept, no patches": 2.5}


def main() -> int:
    """Measures all rows and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of both sides in turn")
    parser.add_argument("--steps", type=int, default=400, help="steps of each side in a round")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return 0
    print("| network | keras.fit, images/s | ours, images/s | times: median (lowest, highest) | required |")
    print("|---|---|---|---|---|")
    missed = 0
    for network, required in REQUIRED.items():
        with ExitStack() as stack:
            sides = [stack.enter_context(Worker(side, network)) for side in ("keras", "slipway")]
            pairs = [[side.measure(arguments.steps) for side in sides] for _ in range(arguments.rounds)]
        ratios = [ours / keras for keras, ours in pairs]
        keras, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(ratios)
        missed += ratio < required
        times = f"{ratio:.1f} ({min(ratios):.1f}, {max(ratios):.1f})"
        print(f"| {network} | {keras:,.0f} | {ours:,.0f} | {times} | {required} |", flush=True)
    return int(missed > 0)


class Worker:
    """One side in a process of its own, which waits while the other side works."""

    def __init__(self, side: str, network: str) -> None:
        command = [sys.executable, __file__, "--worker", side, network]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Worker:
        self.measure(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def measure(self, steps: int) -> float:
        """Images a second over so many steps."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))


def work(side: str, network: str) -> None:
    """Answers each number of steps on stdin with images a second on stdout."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    generator = np.random.default_rng(1)
    # As sparse as digits are; what they show makes no difference to the time.
    images = generator.integers(0, 256, (IMAGES, 28, 28)) * (generator.random((IMAGES, 28, 28)) < 0.2)
    labels = generator.integers(0, 10, IMAGES).astype(np.uint8)
    seconds_of = (keras_side if side == "keras" else our_side)(network, images.astype(np.uint8), labels)
    for line in sys.stdin:
        steps = int(line)
        print(json.dumps(steps * BATCH_SIZE / seconds_of(steps)), flush=True)


def keras_side(network: str, images: Any, labels: Any) -> Callable[[int], float]:
    """keras.fit as its own guide has it: arrays, Adam, its defaults."""
    import keras

    flat = images.reshape(IMAGES, 784).astype(np.float32) / 255
    layers, target = [keras.Input((784,))], labels if network == "classifier" else flat
    if network == "classifier":
        layers += [keras.layers.Dense(units, "relu") for units in (256, 64)] + [keras.layers.Dense(10)]
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        forms = ((256, "relu"), (128, None), (256, "relu"), (784, "sigmoid"))
        layers += [keras.layers.Dense(units, activation) for units, activation in forms]
        loss = "mse"
    model = keras.Sequential(layers)
    model.compile("adam", loss)

    def seconds_of(steps: int) -> float:
        rows = np.resize(np.arange(IMAGES), steps * BATCH_SIZE)
        inputs, targets = flat[rows], target[rows]
        started = time.perf_counter()
        model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=1, verbose=0)
        return time.perf_counter() - started

    return seconds_of


def our_side(network: str, images: Any, labels: Any) -> Callable[[int], float]:
    """The tasks' own functions; compiling ends where the stop flag is read for the first time."""
    from settings.hyperparameters import ClassifierSettings, ConceptSettings
    from settings.model import Description
    from tasks.models import hardware
    from tasks.models.building import build
    from tasks.models.builtin import CLASSIFIER, CONCEPT
    from tasks.models.loop import train

    mnist = Description(shape=(28, 28), classes=tuple("0123456789"))
    hardware.configure_threads(side_by_side=True)

    def seconds_of(steps: int) -> float:
        asked: list[float] = []

        def should_stop() -> bool:
            asked.append(time.perf_counter())
            return False

        common: dict[str, Any] = {"steps": steps, "batch_size": BATCH_SIZE}
        if network == "concept, no patches":
            common["corruption"] = 0
        described = CLASSIFIER if network == "classifier" else CONCEPT
        settings = (ClassifierSettings if network == "classifier" else ConceptSettings)(**common)
        built = build(described, settings, mnist)
        tensors = built.tensors(images, labels)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder)
            train(network, built, tensors, settings=settings, checkpoints=kept, should_stop=should_stop)
            return time.perf_counter() - asked[0]

    return cast(Callable[[int], float], seconds_of)


if __name__ == "__main__":
    sys.exit(main())
