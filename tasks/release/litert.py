"""The LiteRT form of a release: one file with all signatures, for a server without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tasks.release.contract import Signature
from tasks.release.signatures import Signed


def write(path: Path, signed: Signed, expected: dict[str, Signature]) -> None:
    """Write the module as a LiteRT file with the signatures `expected`; raises RuntimeError without them.

    The signatures share the weights in the file. N stays free: the interpreter resizes the input, to 0 too.
    """
    # `from_saved_model` keeps only one signature. With several functions and their module, the converter
    # names each signature after its function's graph.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [signed.functions[name] for name in expected], signed.module
    )
    content = converter.convert()
    # Where the converter cannot save the module it silently falls back to one that loses names.
    found = _sorted(Interpreter(model_content=content).get_signature_list())
    wanted = _sorted({name: {"inputs": it.inputs, "outputs": it.outputs} for name, it in expected.items()})
    if found != wanted:
        raise RuntimeError(f"the LiteRT converter made the signatures {found}, not {wanted}")
    path.write_bytes(content)


def _sorted(signatures: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, dict[str, list[str]]]:
    return {
        name: {kind: sorted(names) for kind, names in kinds.items()} for name, kinds in signatures.items()
    }
