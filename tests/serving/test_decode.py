"""Decoding bodies that nobody wrote on purpose."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tasks.serving import large, v1
from tasks.serving.release import Signature, Tensor
from tasks.serving.v1 import Call, Wrong, decode

SIGNATURES = {"serving_default": Signature(Tensor("imgs", "float32", (-1, 2, 2), 0.0, 1.0), ())}
PIECES = (
    b"null",
    b"true",
    b'"',
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"1e999",
    b"-",
    b"NaN",
    b"\xff",
    b'"imgs"',
    b"\\u",
)


def mutated(body: bytes, rng: random.Random) -> bytes:
    """The body with one to three pieces replaced, removed or put in."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(body) + 1)
        body = body[:start] + rng.choice((b"", *PIECES)) + body[start + rng.choice((0, 0, 1, 2, 9)) :]
    return body


def test_any_body_is_a_call_or_wrong():
    """However a request is garbled: it is refused as Wrong, or gives images that the model may see."""
    rng = random.Random(1)
    image = [[0, 0.25], [0.5, 1]]
    bodies = [
        json.dumps(request).encode()
        for request in (
            {"instances": [image, image]},
            {"instances": [{"imgs": image}, {"imgs": image}]},
            {"inputs": [image], "signature_name": "serving_default"},
            {"inputs": {"imgs": [image, image]}},
        )
    ]
    calls = 0
    for _ in range(20_000):
        try:
            call = decode(mutated(rng.choice(bodies), rng), SIGNATURES, max_images=3)
        except Wrong:
            continue
        calls += 1
        assert isinstance(call, Call)
        assert call.imgs.dtype == np.float32
        assert call.imgs.shape[1:] == (2, 2)
        assert call.imgs.size == 0 or 0 <= call.imgs.min() <= call.imgs.max() <= 1
    assert 100 < calls < 10_000


FORMS = {
    "rows": b'{"instances": %s}',
    "columns": b'{"inputs":%s}',
    "the signature before": b' { "signature_name" : "infer" , "inputs" : %s } ',
    "the signature behind": b'{"instances": %s, "signature_name": "infer"}\n',
    "both": b'{"signature_name": "infer", "instances": %s, "signature_name": "serving_default"}',
    "named": b'{"inputs": {"imgs": %s}}',
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("spaces", [None, 1], ids=["compact", "spaced"])
def test_large_requests_are_decoded_as_small_ones(form, spaces, monkeypatch):
    """What is decoded in pieces is the same call as what is decoded whole, in every form."""
    signatures = {**SIGNATURES, "infer": SIGNATURES["serving_default"]}
    imgs = np.random.default_rng(2).random((100, 2, 2)).round(4).tolist()
    body = form % json.dumps(imgs, indent=spaces).encode()
    whole = decode(body, signatures, max_images=100)
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "PIECE_BYTES", 150)
    pieces = decode(body, signatures, max_images=100)
    assert (pieces.signature, pieces.rows) == (whole.signature, whole.rows)
    np.testing.assert_array_equal(pieces.imgs, whole.imgs)
    with pytest.raises(Wrong, match="100 images, at most 99"):
        decode(body, signatures, max_images=99)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2, r"instances\[70\]\[1\]\[0\]: 2 is outside 0..1"),
        ("]],[[", r"instances\[70\]\[1\]\[0\]: the string"),
        ([0.5], r"instances\[70\]\[1\]\[0\]: a list of 1"),
        (True, r"instances\[70\]\[1\]\[0\]: true"),
    ],
)
def test_a_fault_in_a_large_request_is_told_with_its_place(value, message, monkeypatch):
    """The index in the message counts from the first image, wherever the pieces were cut."""
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "PIECE_BYTES", 150)
    imgs = np.full((100, 2, 2), 0.5).tolist()
    imgs[70][1][0] = value
    with pytest.raises(Wrong, match=message):
        decode(json.dumps({"instances": imgs}).encode(), SIGNATURES, max_images=100)


def test_garbled_large_bodies_are_decoded_as_whole_ones(monkeypatch):
    """In pieces or whole, a garbled body gives the same images or the same reason."""

    def outcome(body: bytes) -> object:
        try:
            call = decode(body, SIGNATURES, max_images=20)
        except Wrong as error:
            return str(error)
        return (call.signature, call.rows, call.imgs.tolist())

    rng = random.Random(3)
    imgs = np.full((12, 2, 2), 0.25).tolist()
    bodies = [mutated(json.dumps({"instances": imgs}).encode(), rng) for _ in range(3_000)]
    whole = [outcome(body) for body in bodies]
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "PIECE_BYTES", 40)
    assert [outcome(body) for body in bodies] == whole
    assert sum(isinstance(one, tuple) for one in whole) > 30
