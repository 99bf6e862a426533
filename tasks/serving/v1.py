"""The first version of the wire, as TensorFlow Serving has it: predict, status and metadata.

Source: TensorFlow Serving, RESTful API (tensorflow_serving/g3doc/api_rest.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tasks.serving.large import decode_pieces
from tasks.serving.release import Loaded, Signature, Tensor
from tasks.serving.runtime import Images, Outputs
from tasks.serving.tensors import Wrong, holds_only_numbers, to_images

DEFAULT_SIGNATURE = "serving_default"
LARGE_BYTES = 512 * 1024
KEYS = ("signature_name", "instances", "inputs")
DTYPES = {"float32": "DT_FLOAT", "int64": "DT_INT64", "bool": "DT_BOOL"}


@dataclass(frozen=True)
class Call:
    """What a request asks for; `rows` says which of the two formats it came in and is answered in."""

    signature: str
    imgs: Images
    rows: bool


def decode(body: bytes, signatures: Mapping[str, Signature], *, max_images: int) -> Call:
    """Give the call of a predict request's body; raises Wrong with what is wrong and where."""
    if len(body) > LARGE_BYTES:
        _check_amount(body, signatures, max_images)
        if call := decode_pieces(body, signatures, default=DEFAULT_SIGNATURE, max_images=max_images):
            return Call(*call)
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Wrong(f"the body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise Wrong('the body is not a JSON object with "instances" or "inputs"')
    for key in request:
        if key not in KEYS:
            raise Wrong(f"unknown key {key[:40]!r}: there are {', '.join(KEYS)}")
    rows = "instances" in request
    if rows == ("inputs" in request):
        raise Wrong('give either "instances" or "inputs", ' + ("not both" if rows else "neither is there"))
    name, signature = _signature(request.get("signature_name", DEFAULT_SIGNATURE), signatures)
    unwrap = _unwrap_rows if rows else _unwrap_columns
    values, where, names = unwrap(request, signature.input)
    if isinstance(values, list) and len(values) > max_images:
        raise Wrong(f"{where}: {len(values)} images, at most {max_images} in one request")
    strings = len(request) + names + ("signature_name" in request)
    numbers_only = holds_only_numbers(body, strings=strings)
    return Call(name, to_images(values, signature.input, where=where, numbers_only=numbers_only), rows)


def encode(call: Call, outputs: Outputs, signature: Signature) -> bytes:
    """Give the body of the answer in the format of the request."""
    names = [tensor.name for tensor in signature.outputs]
    answer: Any
    if len(names) == 1:
        answer = outputs[names[0]]
    elif call.rows:
        columns = [outputs[name] for name in names]
        answer = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    else:
        answer = {name: outputs[name] for name in names}
    return orjson.dumps(
        {"predictions" if call.rows else "outputs": answer}, option=orjson.OPT_SERIALIZE_NUMPY
    )


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
                        "inputs": {signature.input.name: _describe(key, signature.input)},
                        "outputs": {tensor.name: _describe(key, tensor) for tensor in signature.outputs},
                        "method_name": "tensorflow/serving/predict",
                        "defaults": {},
                    }
                    for key, signature in loaded.signatures.items()
                }
            }
        },
    }


def _describe(signature: str, tensor: Tensor) -> dict[str, Any]:
    return {
        "dtype": DTYPES[tensor.dtype],
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in tensor.shape],
            "unknown_rank": False,
        },
        "name": f"{signature}_{tensor.name}:0",
    }


def _signature(name: Any, signatures: Mapping[str, Signature]) -> tuple[str, Signature]:
    if not isinstance(name, str) or name not in signatures:
        raise Wrong(f"signature_name {str(name)[:40]!r} is unknown: there are {', '.join(signatures)}")
    return name, signatures[name]


def _check_amount(body: bytes, signatures: Mapping[str, Signature], max_images: int) -> None:
    """Refuse a text with far more lists, objects or strings than the largest request has, before parsing it.

    An empty list is 3 bytes of text and 64 of memory: a body within its limit could cost 20 times as much.
    """
    shapes = [signature.input.shape[1:] for signature in signatures.values()]
    per_image = 1 + max(sum(math.prod(shape[:axis]) for axis in range(len(shape))) for shape in shapes)
    most = 1_000 + 2 * max_images * per_image  # what is only a little too much gets a better message below
    if (parts := sum(map(body.count, (b"[", b"{", b'"')))) > most:
        raise Wrong(f"the body has {parts:,} brackets and quotes, far more than {max_images:,} images need")


def _unwrap_rows(request: Mapping[str, Any], tensor: Tensor) -> tuple[Any, str, int]:
    """Give the images, their place in the request, and how many names stand in the text."""
    instances = request["instances"]
    if not isinstance(instances, list) or not instances or not isinstance(instances[0], dict):
        return instances, "instances", 0
    images = []
    for index, instance in enumerate(instances):
        where = f"instances[{index}]"
        if not isinstance(instance, dict):
            raise Wrong(f"{where}: not an object like the first one")
        images.append(_single_input(instance, tensor, where))
    return images, "instances", len(images)


def _unwrap_columns(request: Mapping[str, Any], tensor: Tensor) -> tuple[Any, str, int]:
    inputs = request["inputs"]
    if isinstance(inputs, dict):
        return _single_input(inputs, tensor, "inputs"), f"inputs.{tensor.name}", 1
    return inputs, "inputs", 0


def _single_input(named: Mapping[str, Any], tensor: Tensor, where: str) -> Any:
    for name in named:
        if name != tensor.name:
            raise Wrong(f"{where}: unknown input {name[:40]!r}, expected {tensor.name!r}")
    if tensor.name not in named:
        raise Wrong(f"{where}: no input {tensor.name!r}")
    return named[tensor.name]
