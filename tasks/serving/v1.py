"""The first version of the wire, as TensorFlow Serving has it: predict, status and metadata.

Source: TensorFlow Serving, RESTful API (tensorflow_serving/g3doc/api_rest.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tasks.release.contract import Signature, Tensor
from tasks.serving.large import Unusual, decode_pieces
from tasks.serving.release import Loaded
from tasks.serving.runtime import Outputs, Rows
from tasks.serving.tensors import Wrong, holds_only_numbers, single_input, to_rows, unwrap_rows

DEFAULT_SIGNATURE = "serving_default"
LARGE_BYTES = 512 * 1024
ROWS_AT_ONCE = 64  # of an answer, so that writing it stops no other thread for long
KEYS = ("signature_name", "instances", "inputs")
DTYPES = {
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "uint8": "DT_UINT8",
    "int8": "DT_INT8",
    "uint16": "DT_UINT16",
    "int16": "DT_INT16",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "bool": "DT_BOOL",
    "string": "DT_STRING",
}


@dataclass(frozen=True)
class Call:
    """What a request asks for; `by_row` says which of the two formats it came in and is answered in."""

    signature: str
    rows: Rows
    by_row: bool


def decode(body: bytes, signatures: Mapping[str, Signature], *, max_images: int) -> Call:
    """Give the call of a predict request's body; raises Wrong with what is wrong and where."""
    if len(body) > LARGE_BYTES:
        try:
            call = decode_pieces(body, signatures, default=DEFAULT_SIGNATURE, max_images=max_images)
        except Unusual as error:
            raise Wrong(
                f"a body of over {LARGE_BYTES // 1024} KiB has to be a JSON object with each name once, no "
                f'escapes, and a list of rows as "instances", "inputs" or the input in "inputs"'
            ) from error
        return Call(*call)
    return decode_whole(body, signatures, max_images=max_images)


def decode_whole(body: bytes, signatures: Mapping[str, Signature], *, max_images: int) -> Call:
    """Give the call of a body that is parsed in one go."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Wrong(f"the body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise Wrong('the body is not a JSON object with "instances" or "inputs"')
    for key in request:
        if key not in KEYS:
            raise Wrong(f"unknown key {key[:40]!r}: there are {', '.join(KEYS)}")
    by_row = "instances" in request
    if by_row == ("inputs" in request):
        raise Wrong('give either "instances" or "inputs", ' + ("not both" if by_row else "neither is there"))
    name, signature = _signature(request.get("signature_name", DEFAULT_SIGNATURE), signatures)
    unwrap = _unwrap_rows if by_row else _unwrap_columns
    values, where, names = unwrap(request, signature)
    if isinstance(values, list) and len(values) > max_images:
        raise Wrong(f"{where}: more than {max_images} rows in one request")
    strings = len(request) + names + ("signature_name" in request)
    numbers_only = holds_only_numbers(body, strings=strings)
    return Call(name, to_rows(values, signature.input, where=where, numbers_only=numbers_only), by_row)


def encode(call: Call, outputs: Outputs, signature: Signature) -> bytes:
    """Give the body of the answer in the format of the request, written in pieces as large ones are read."""
    names = list(signature.outputs)
    starts = range(0, len(call.rows), ROWS_AT_ONCE)
    cut = {name: [outputs[name][start : start + ROWS_AT_ONCE] for start in starts] for name in names}
    if len(names) == 1:
        answer = _list(cut[names[0]])
    elif call.by_row:
        chunks = zip(*cut.values(), strict=True)
        answer = _list(
            [dict(zip(names, row, strict=True)) for row in zip(*chunk, strict=True)] for chunk in chunks
        )
    else:
        answer = b"{%s}" % b",".join(b'"%s":%s' % (name.encode(), _list(cut[name])) for name in names)
    return b'{"%s":%s}' % (b"predictions" if call.by_row else b"outputs", answer)


def _list(chunks: Iterable[Any]) -> bytes:
    """Give the chunks of a list as one JSON list."""
    return b"[%s]" % b",".join(
        orjson.dumps(chunk, option=orjson.OPT_SERIALIZE_NUMPY, default=_plain)[1:-1] for chunk in chunks
    )


def _plain(names: Any) -> list[Any]:
    """Give an array of strings as orjson takes them."""
    return list(names)


def status(entries: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    """Give the model's status: by version its state and, if something is wrong with it, what."""
    return {
        "model_version_status": [
            {
                "version": str(version),
                "state": state,
                "status": {"error_code": "UNKNOWN" if error else "OK", "error_message": error},
            }
            for version, (state, error) in entries.items()
        ]
    }


def metadata(name: str, loaded: Loaded) -> dict[str, Any]:
    """Give the description of a version: its signatures with names, types and shapes."""
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(loaded.version)},
        "metadata": {
            "signature_def": {
                "signature_def": {
                    key: {
                        "inputs": _describe(key, signature.inputs),
                        "outputs": _describe(key, signature.outputs),
                        "method_name": "tensorflow/serving/predict",
                        "defaults": {},
                    }
                    for key, signature in loaded.signatures.items()
                }
            }
        },
    }


def _describe(signature: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        name: {
            "dtype": DTYPES[tensor.dtype],
            "tensor_shape": {
                "dim": [{"size": str(size), "name": ""} for size in tensor.shape],
                "unknown_rank": False,
            },
            "name": f"{signature}_{name}:0",
        }
        for name, tensor in tensors.items()
    }


def _signature(name: Any, signatures: Mapping[str, Signature]) -> tuple[str, Signature]:
    if name == "":  # as TensorFlow Serving has it
        name = DEFAULT_SIGNATURE
    if not isinstance(name, str) or name not in signatures:
        raise Wrong(f"signature_name {str(name)[:40]!r} is unknown: there are {', '.join(signatures)}")
    return name, signatures[name]


def _unwrap_rows(request: Mapping[str, Any], signature: Signature) -> tuple[Any, str, int]:
    """Give the rows, their place in the request, and how many names stand in the text."""
    instances = request["instances"]
    if not isinstance(instances, list) or not instances or not isinstance(instances[0], dict):
        return instances, "instances", 0
    rows = unwrap_rows(instances, signature)
    return rows, "instances", len(rows)


def _unwrap_columns(request: Mapping[str, Any], signature: Signature) -> tuple[Any, str, int]:
    inputs = request["inputs"]
    if isinstance(inputs, dict):
        return single_input(inputs, signature, "inputs"), f"inputs.{signature.input_name}", 1
    return inputs, "inputs", 0
