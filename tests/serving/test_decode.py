"""Decoding bodies that nobody wrote on purpose."""

from __future__ import annotations

import json
import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.release.contract import Signature, Tensor
from tasks.serving import large, v1
from tasks.serving.tensors import Wrong
from tasks.serving.v1 import Call, decode, decode_whole

SIGNATURES = {"serving_default": Signature({"imgs": Tensor("float32", (-1, 2, 2), range=(0.0, 1.0))}, {})}
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
        assert call.rows.dtype == np.float32
        assert call.rows.shape[1:] == (2, 2)
        assert call.rows.size == 0 or 0 <= call.rows.min() <= call.rows.max() <= 1
    assert 100 < calls < 10_000


FORMS = {
    "rows": b'{"instances": %s}',
    "columns": b'{"inputs":%s}',
    "the signature before": b' { "signature_name" : "infer" , "inputs" : %s } ',
    "the signature behind": b'{"instances": %s, "signature_name": "infer"}\n',
    "the default by an empty name": b'{"instances": %s, "signature_name": ""}',
    "named": b'{"inputs": {"imgs": %s}}',
}
IMAGE = [[0, 0.25], [0.5, 1]]
WIDE = Signature({"imgs": Tensor("float32", (-1, 3), range=(-1.0, 2.0))}, {})
SEVERAL = {**SIGNATURES, "infer": SIGNATURES["serving_default"], "wide": WIDE}


def in_small_pieces(monkeypatch):
    monkeypatch.setattr(v1, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "PIECE_BYTES", 150)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("spaces", [None, 1], ids=["compact", "spaced"])
def test_large_requests_are_decoded_as_small_ones(form, spaces, monkeypatch):
    """What is decoded in pieces is the same call as what is decoded whole, in every form."""
    imgs = np.random.default_rng(2).random((100, 2, 2)).round(4).tolist()
    body = form % json.dumps(imgs, indent=spaces).encode()
    whole = decode(body, SEVERAL, max_images=100)
    in_small_pieces(monkeypatch)
    pieces = decode(body, SEVERAL, max_images=100)
    assert (pieces.signature, pieces.by_row) == (whole.signature, whole.by_row)
    np.testing.assert_array_equal(pieces.rows, whole.rows)
    with pytest.raises(Wrong, match="more than 99 rows in one request"):
        decode(body, SEVERAL, max_images=99)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2, r"instances\[70\]\[1\]\[0\]: 2 is outside 0..1"),
        ("]],[[", r"instances\[70\]\[1\]\[0\]: the string"),
        ([0.5], r"instances\[70\]\[1\]\[0\]: a list of 1"),
        (True, r"instances\[70\]\[1\]\[0\]: true"),
    ],
)
@pytest.mark.parametrize("named", [False, True], ids=["plain", "named"])
def test_a_fault_in_a_large_request_is_told_with_its_place(value, message, named, monkeypatch):
    """The index in the message counts from the first image, wherever the pieces were cut."""
    in_small_pieces(monkeypatch)
    imgs = np.full((100, 2, 2), 0.5).tolist()
    imgs[70][1][0] = value
    instances = [{"imgs": image} for image in imgs] if named else imgs
    with pytest.raises(Wrong, match=message):
        decode(json.dumps({"instances": instances}).encode(), SIGNATURES, max_images=100)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[[0, 1], [0, 1]]], "instances": []}',
        b'{"inst\\u0061nces": [[[0, 1], [0, 1]]]}',
        b'{"instances": [[[0, 1], [0, 1]]], "signature_name": "wide", "signature_name": "infer"}',
    ],
    ids=["a name twice", "an escaped name", "a signature twice"],
)
def test_a_large_request_in_an_unusual_form_is_told_so(body, monkeypatch):
    """What only the decoder of small requests knows is refused with what a large one has to be."""
    assert decode(body, SEVERAL, max_images=3).signature in SEVERAL
    in_small_pieces(monkeypatch)
    with pytest.raises(Wrong, match="has to be a JSON object with each name once"):
        decode(body, SEVERAL, max_images=3)


def rows_of(*elements):
    return st.lists(st.one_of(*elements), max_size=6)


NUMBER = st.sampled_from([0, 1, 0.5, 1.0000001, 1.1, -0.0, 2, 1e300, 10**30])
ODD = st.sampled_from([None, True, "a", "]", "[", ",", '"', "\\", {}, [], {"imgs": 1}, [0], 3])
PAIR = st.lists(NUMBER, min_size=2, max_size=2)
MATRIX = st.one_of(st.just(IMAGE), st.lists(PAIR, min_size=2, max_size=2), st.just([[[0], [1]], [[1], [0]]]))
IMAGES = st.one_of(
    rows_of(MATRIX), rows_of(MATRIX, ODD), rows_of(PAIR, st.just([0, 1, 2])), st.just([0] * 40)
)
NAMED = st.builds(lambda name, imgs: {name: imgs}, st.sampled_from(["imgs", "X"]), st.one_of(IMAGES, MATRIX))
VALUE = st.one_of(IMAGES, st.lists(NAMED, max_size=4), NAMED, ODD)
MEMBER = st.one_of(
    st.tuples(st.sampled_from(["instances", "inputs"]), VALUE),
    st.tuples(st.just("signature_name"), st.sampled_from(["", "infer", "wide", "other", 1])),
    st.tuples(st.just("threshold"), ODD),
)
MEMBERS = st.lists(MEMBER, max_size=4)


@st.composite
def some_bodies(draw):
    """Give objects with the names of requests, also twice, in any spacing, and garbled ones among them."""
    indent = draw(st.sampled_from([None, None, 1]))
    members = [f'"{name}": {json.dumps(value, indent=indent)}' for name, value in draw(MEMBERS)]
    body = ("{" + ", ".join(members) + "}").encode()
    for _ in range(draw(st.integers(0, 2))):
        start, length = draw(st.integers(0, len(body))), draw(st.sampled_from([0, 0, 1, 2, 9]))
        body = body[:start] + draw(st.sampled_from([b"", *PIECES, b" ", b"\\"])) + body[start + length :]
    return body


@settings(max_examples=1_500, deadline=None)
@given(body=some_bodies(), size=st.sampled_from([8, 30, 150]))
@example(body=b'{"signature_name":"wide","instances":[[[0,1],[1,0]]],"signature_name":"infer"}', size=30)
@example(body=b'{"instances":[3],"instances":[[[0,1],[1,0]]]}', size=30)
@example(body=b'{"inputs":{"imgs":[3],"imgs":[[[0,1],[1,0]]]}}', size=30)
@example(body=b'{"instances":[[[0,1],[1,0]],[[[0],[1]],[[1],[0]]]]}', size=8)
@example(body=b'{"instances":[[[0,1],[1,0]],]}', size=8)
def test_both_decoders_agree_on_every_body(body, size):
    """In pieces as whole: the same call, or wrong; what is unusual the decoder in pieces leaves alone."""
    try:
        whole = decode_whole(body, SEVERAL, max_images=5)
    except Wrong:
        whole = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "PIECE_BYTES", size)
        try:
            pieces = Call(*large.decode_pieces(body, SEVERAL, default="serving_default", max_images=5))
        except large.Unusual:
            return
        except Wrong:
            pieces = None
    assert (whole is None) == (pieces is None)
    if whole and pieces:
        assert (pieces.signature, pieces.by_row) == (whole.signature, whole.by_row)
        np.testing.assert_array_equal(pieces.rows, whole.rows)


@settings(max_examples=200, deadline=None)
@given(
    imgs=st.lists(st.lists(PAIR, min_size=2, max_size=2), max_size=5),
    form=st.sampled_from(sorted(FORMS)),
    indent=st.sampled_from([None, 2]),
    size=st.sampled_from([8, 30, 150]),
)
def test_no_usual_request_is_left_alone(imgs, form, indent, size):
    """Whatever a client's library writes is decoded in pieces."""
    body = FORMS[form] % json.dumps(imgs, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch, suppress(Wrong):
        patch.setattr(large, "PIECE_BYTES", size)
        large.decode_pieces(body, SEVERAL, default="serving_default", max_images=5)
