"""Makes a release of a model that is no classifier of images; a process of its own, as it imports TensorFlow.

python tests/serving/make_other_release.py FOLDER

Its signatures take rows of several ranks and types; it has no score, and its three classes have names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tasks.release import contract
from tasks.release.contract import Signature, Tensor
from tasks.release.litert import write
from tasks.release.signatures import Signed
from tasks.store.files import sha256_of

CLASSES = ["setosa", "versicolor", "größer"]
KERNEL = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]], np.float32)  # of 4 numbers to 3 classes

OUTPUTS = {"class_ids": Tensor("int64", (-1,)), "probabilities": Tensor("float32", (-1, 3))}
SIGNATURES = {
    "serving_default": Signature({"table": Tensor("float32", (-1, 4))}, OUTPUTS),
    "volume": Signature(
        {"X": Tensor("float32", (-1, 2, 3, 4), "", (-1.0, 1.0))}, {"mean": Tensor("float32", (-1,))}
    ),
    "codes": Signature({"codes": Tensor("int32", (-1, 2))}, {"total": Tensor("int32", (-1,))}),
    "scalar": Signature({"x": Tensor("float32", (-1,))}, {"double": Tensor("float32", (-1,))}),
    "wide": Signature({"X": Tensor("float32", (-1, 160, 200, 3))}, {"mean": Tensor("float32", (-1,))}),
}


def make_release(folder: Path) -> None:
    """Write the SavedModel, the LiteRT file, the golden answers and the manifest."""
    module = tf.Module()
    module.kernel = tf.Variable(KERNEL, name="kernel")

    def serving_default(table: Any) -> dict[str, Any]:
        probabilities = tf.nn.softmax(table @ module.kernel)
        return {
            "class_ids": tf.argmax(probabilities, axis=-1, output_type=tf.int64),
            "probabilities": probabilities,
        }

    functions = {
        "serving_default": serving_default,
        "volume": lambda X: {"mean": tf.reduce_mean(X, axis=[1, 2, 3])},
        "codes": lambda codes: {"total": codes[:, 0] + codes[:, 1]},
        "scalar": lambda x: {"double": 2 * x},
        "wide": lambda X: {"mean": tf.reduce_mean(X, axis=[1, 2, 3])},
    }
    traced = {}
    for name, function in functions.items():
        tensor = SIGNATURES[name].input
        spec = tf.TensorSpec((None, *tensor.row), tensor.dtype, name=SIGNATURES[name].input_name)
        function.__name__ = name
        signature = tf.function(function, input_signature=[spec])
        setattr(module, name, signature)
        traced[name] = signature.get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures=traced)
    (folder / "assets.extra").mkdir()
    write(folder / contract.TFLITE, Signed(module, traced), SIGNATURES)
    table = np.eye(4, dtype=np.float32)
    golden = {name: value.numpy() for name, value in traced["serving_default"](tf.constant(table)).items()}
    np.savez(folder / contract.GOLDEN, imgs=table, **golden)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "schema": 1,
        "signatures": contract.describe(SIGNATURES),
        "classes": CLASSES,
        "digests": {path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
    }
    (folder / contract.MANIFEST).write_text(json.dumps(manifest))


if __name__ == "__main__":
    make_release(Path(sys.argv[1]))
