"""Writes a SavedModel such that the same model gives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format  # type: ignore[import-untyped]  # has no stubs
from tensorflow.core.protobuf import saved_model_pb2

from tasks.release.signatures import Signed

_FUNCTION = re.compile(r"\b__inference_\w+_(\d+)\b")
_ARGUMENT_NAME = "_user_specified_name"
_CONFIGURATION = "config_proto"


def write(folder: Path, signed: Signed) -> None:
    """Write the module and its signatures as a SavedModel into `folder`, which may hold other files."""
    tf.saved_model.save(signed.module, str(folder), signatures=signed.functions)
    graph = folder / "saved_model.pb"
    graph.write_bytes(normalised(graph.read_bytes()))
    # It holds a random UUID and a checksum of the graph as it was; the manifest's digests say more.
    (folder / "fingerprint.pb").unlink()
    (folder / "assets").rmdir()  # empty: nothing that a file digest or a copy to object storage would keep


def normalised(serialised: bytes) -> bytes:
    """Give the same SavedModel without what depends on the process that saved it.

    TensorFlow numbers functions by a counter of the whole process and notes its threads at each call: the
    same model saved after a training and in a fresh process would differ. Here the functions are numbered
    from 0 and stand in order of name, and a call is configured by whoever runs it.
    """
    saved_model: Any = saved_model_pb2.SavedModel()
    saved_model.ParseFromString(serialised)
    text = text_format.MessageToString(saved_model)
    numbers = sorted({int(match[1]) for match in _FUNCTION.finditer(text)})
    rank = {str(number): str(index) for index, number in enumerate(numbers)}
    renamed = _FUNCTION.sub(lambda match: match[0].removesuffix(match[1]) + rank[match[1]], text)
    saved_model = text_format.Parse(renamed, saved_model_pb2.SavedModel())
    for meta_graph in saved_model.meta_graphs:
        library = meta_graph.graph_def.library.function
        library.sort(key=lambda function: function.signature.name)  # was in order of a hash table
        for argument in (argument for function in library for argument in function.arg_attr.values()):
            # Of a captured variable: its number in the process, a name for error messages.
            if _ARGUMENT_NAME in argument.attr and argument.attr[_ARGUMENT_NAME].s.isdigit():
                del argument.attr[_ARGUMENT_NAME]
        for node in (*meta_graph.graph_def.node, *(node for each in library for node in each.node_def)):
            if _CONFIGURATION in node.attr:
                node.attr[_CONFIGURATION].s = b""  # threads and devices of the process, not of the model
    return bytes(saved_model.SerializeToString(deterministic=True))
