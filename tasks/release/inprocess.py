"""Answers of a release computed in this process, without a server: what a server's are compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCH = 1_000

Answers = dict[str, np.ndarray]


def load_saved_model(folder: Path) -> Callable[..., Answers]:
    """Give a function `ask(rows, signature="serving_default")`: the outputs of the SavedModel, by name.

    It takes float32 rows (N, ...). Loading takes half a second: who asks several times loads once.
    """
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))

    def ask(rows: np.ndarray, signature: str = "serving_default") -> Answers:
        function = model.signatures[signature]
        (argument,) = function.structured_input_signature[1]

        def call(part: np.ndarray) -> Answers:
            outputs = function(**{argument: tf.constant(part)})
            return {name: output.numpy() for name, output in outputs.items()}

        return in_batches(call, rows, BATCH)

    return ask


def run_litert(
    path: Path,
    rows: np.ndarray,
    batch: int = BATCH,
    *,
    signature: str = "serving_default",
    threads: int = 1,
) -> Answers:
    """Give the outputs of a signature of the LiteRT file for float32 rows (N, ...), by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    runner = interpreter.get_signature_runner(signature)
    (argument,) = runner.get_input_details()
    return in_batches(lambda part: dict(runner(**{argument: part})), rows, batch)


def in_batches(call: Callable[[np.ndarray], Answers], rows: np.ndarray, batch: int) -> Answers:
    """Give the outputs of `call` over all rows, which it gets at most `batch` at a time (none: once)."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    parts = [call(rows[start : start + batch]) for start in range(0, max(len(rows), 1), batch)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
