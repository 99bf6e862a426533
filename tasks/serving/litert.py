"""The LiteRT runtime: the release's model.tflite in interpreters that never wait for each other."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner

from tasks.release.contract import TFLITE
from tasks.serving.runtime import Outputs, Rows

CHUNK = 64  # rows per call: larger ones compute no quicker per row, and take more memory
READY_LANES = 2  # one for the event loop, one for the thread of the larger requests


class LiteRT:
    """Loads `assets.extra/model.tflite` of a release."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def load(self, folder: Path) -> LiteRTModel:
        """Give the model; its bytes are read once, so a later change of the file does not reach it."""
        return LiteRTModel((folder / TFLITE).read_bytes(), threads=self.threads)


class LiteRTModel:
    """Every signature of a LiteRT file; interpreters are not thread-safe, so each call gets its own lane."""

    def __init__(self, content: bytes, *, threads: int) -> None:
        self._content = content
        self._threads = threads
        self._free = deque(_Lane(content, threads) for _ in range(READY_LANES))

    def run(self, signature: str, rows: Rows) -> Outputs:
        """Give the outputs of a signature by name, N rows each."""
        if not len(rows):  # LiteRT's convolutions take no batch of none
            one = self.run(signature, np.zeros((1, *rows.shape[1:]), rows.dtype))
            return {name: values[:0] for name, values in one.items()}
        try:
            lane = self._free.pop()
        except IndexError:  # more calls at once than ever before
            lane = _Lane(self._content, self._threads)
        try:
            return lane.run(signature, rows)
        finally:
            self._free.append(lane)


class _Lane:
    """Two interpreters: one stays at a single row, the other is resized to what comes.

    A new size costs an allocation, 0.1 ms, so that single rows alternating with larger requests must not
    share an interpreter.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        self._single = _runners(content, threads)
        self._many = _runners(content, threads)
        for signature, (_, row, _) in self._single.items():
            for count in (1, CHUNK):
                self.run(signature, np.zeros((count, *row.shape), row.dtype))

    def run(self, signature: str, rows: Rows) -> Outputs:
        name, _, runner = (self._single if len(rows) == 1 else self._many)[signature]
        starts = range(0, max(len(rows), 1), CHUNK)
        parts: list[Outputs] = [runner(**{name: rows[start : start + CHUNK]}) for start in starts]
        if len(parts) == 1:
            return parts[0]
        return {output: np.concatenate([part[output] for part in parts]) for output in parts[0]}


def _runners(content: bytes, threads: int) -> dict[str, tuple[str, Rows, SignatureRunner]]:
    """Give the input's name, a row of zeros and the runner of each signature of a new interpreter."""
    interpreter = Interpreter(model_content=content, num_threads=threads)
    runners = {}
    for signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        ((name, details),) = runner.get_input_details().items()
        runners[signature] = (name, np.zeros(details["shape"][1:], details["dtype"]), runner)
    return runners
