"""The TensorFlow runtime: the signatures of the SavedModel itself, slower and larger than LiteRT."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from tasks.serving.runtime import Outputs, Rows


class TensorFlow:
    """Loads the SavedModel of a release."""

    def __init__(self, threads: int) -> None:
        # TensorFlow fixes its threads at the first operation; a later release keeps them.
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)

    def load(self, folder: Path) -> SavedModel:
        """Give the model."""
        return SavedModel(folder)


class SavedModel:
    """Every signature of a SavedModel; TensorFlow's functions may be called by several threads."""

    def __init__(self, folder: Path) -> None:
        self._loaded = tf.saved_model.load(str(folder))  # its variables live as long as this does
        self._inputs: dict[str, str] = {}
        for name, function in self._loaded.signatures.items():
            (self._inputs[name],) = function.structured_input_signature[1]

    def run(self, signature: str, rows: Rows) -> Outputs:
        """Give the outputs of a signature by name, N rows each."""
        function = self._loaded.signatures[signature]
        outputs = function(**{self._inputs[signature]: tf.constant(rows)})
        return {name: tensor.numpy() for name, tensor in outputs.items()}
