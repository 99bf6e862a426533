"""Answers of a release computed in this process, without a server: what a server's are compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCH = 1_000

Answers = dict[str, np.ndarray]


def load_saved_model(folder: Path) -> Callable[..., Answers]:
    """Give a function `ask(imgs, signature="serving_default")`: the outputs of the SavedModel, by name.

    It takes float32 images (N, 28, 28). Loading takes half a second: who asks several times loads once.
    """
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))

    def ask(imgs: np.ndarray, signature: str = "serving_default") -> Answers:
        function = model.signatures[signature]
        (argument,) = function.structured_input_signature[1]

        def call(part: np.ndarray) -> Answers:
            outputs = function(**{argument: tf.constant(part)})
            return {name: output.numpy() for name, output in outputs.items()}

        return in_batches(call, imgs, BATCH)

    return ask


def run_litert(
    path: Path,
    imgs: np.ndarray,
    batch: int = BATCH,
    *,
    signature: str = "serving_default",
    threads: int = 1,
) -> Answers:
    """Give the outputs of a signature of the LiteRT file for float32 images (N, 28, 28), by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    runner = interpreter.get_signature_runner(signature)
    (argument,) = runner.get_input_details()
    return in_batches(lambda part: dict(runner(**{argument: part})), imgs, batch)


def in_batches(call: Callable[[np.ndarray], Answers], imgs: np.ndarray, batch: int) -> Answers:
    """Give the outputs of `call` over all images, which it gets at most `batch` at a time (none: once)."""
    imgs = np.ascontiguousarray(imgs, dtype=np.float32)
    parts = [call(imgs[start : start + batch]) for start in range(0, max(len(imgs), 1), batch)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
