"""The first version of the wire, asked over real connections."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

PREDICT = "/v1/models/mnist:predict"
GREY = [[0.5] * 28] * 28
WITH_CHANNEL = [[[0.5]] * 28] * 28
WHOLE = "the whole has the shape N × 28 × 28"
OUTPUTS = {"class_ids", "probabilities", "logits", "score", "in_distribution"}


def put_at(place: tuple[int, ...], value: Any) -> list[Any]:
    """Two grey images with something else at one place."""
    images: Any = json.loads(json.dumps([GREY, GREY]))
    target = images
    for index in place[:-1]:
        target = target[index]
    target[place[-1]] = value
    return list(images)


def test_rows_are_answered_in_rows(shared, golden):
    """`instances` as plain images gives one object with all outputs per image, in order."""
    response = shared.predict(golden[1]["imgs"])
    predictions = response.json()["predictions"]
    assert [set(row) for row in predictions] == [OUTPUTS] * 16
    assert [row["class_ids"] for row in predictions] == golden[1]["class_ids"].tolist()
    np.testing.assert_allclose([row["logits"] for row in predictions], golden[1]["logits"], 1e-4, 1e-5)
    np.testing.assert_allclose([row["score"] for row in predictions], golden[1]["score"], 1e-4, 1e-5)
    assert predictions[0]["in_distribution"] is bool(golden[1]["in_distribution"][0])


def test_rows_may_name_their_input(shared):
    """`instances` as a list of {"imgs": image} is the same request."""
    named = shared.http.post(PREDICT, json={"instances": [{"imgs": GREY}, {"imgs": GREY}]})
    assert named.json() == shared.predict([GREY, GREY]).json()


@pytest.mark.parametrize("inputs", [[GREY], {"imgs": [GREY]}], ids=["plain", "named"])
def test_columns_are_answered_in_columns(shared, inputs):
    """`inputs`, plain or named, gives one object with a list per output."""
    outputs = shared.http.post(PREDICT, json={"inputs": inputs}).json()["outputs"]
    row = shared.predict([GREY]).json()["predictions"][0]
    assert outputs == {name: [value] for name, value in row.items()}


def test_a_single_output_stands_without_its_name(shared, golden):
    """A signature with one output gives plain values, in both formats."""
    imgs = golden[1]["imgs"][:3]
    rows = shared.predict(imgs, signature_name="infer").json()["predictions"]
    columns = shared.http.post(PREDICT, json={"inputs": imgs.tolist(), "signature_name": "infer"})
    np.testing.assert_allclose(rows, golden[1]["reconstructed"][:3], 1e-4, 1e-5)
    assert columns.json() == {"outputs": rows}


def test_images_come_back_as_images(shared, golden):
    """`reconstruct` gives 28 × 28 values per image."""
    imgs = golden[1]["imgs"][:2]
    rows = shared.predict(imgs, signature_name="reconstruct").json()["predictions"]
    np.testing.assert_allclose(rows, golden[1]["images"][:2], 1e-4, 1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "infer", "reconstruct"])
def test_no_images_give_empty_outputs(shared, signature):
    """An empty list is a valid request for no answers."""
    rows = shared.predict([], signature_name=signature)
    columns = shared.http.post(PREDICT, json={"inputs": [], "signature_name": signature})
    assert rows.json() == {"predictions": []}
    outputs = columns.json()["outputs"]
    assert outputs == ([] if signature != "serving_default" else {name: [] for name in OUTPUTS})


def test_whole_numbers_are_numbers(shared):
    """0 and 1 need no decimal point."""
    assert shared.predict([[[1] * 28] * 28]).json() == shared.predict([[[1.0] * 28] * 28]).json()


def test_an_axis_for_the_channel_may_be_behind(shared):
    """28 × 28 × 1, as Keras has images, is 28 × 28."""
    plain = shared.predict([GREY, GREY]).json()
    assert shared.predict([WITH_CHANNEL, WITH_CHANNEL]).json() == plain
    assert shared.predict([WITH_CHANNEL] * 30).json()["predictions"] == plain["predictions"][:1] * 30


@pytest.mark.parametrize(("value", "bound"), [(1.0000001, 1), (-1e-7, 0), (1.00000095, 1)])
def test_a_pixel_that_was_rounded_is_the_bound(shared, value, bound):
    """What a client's arithmetic leaves beyond a bound is taken for the bound."""
    rounded = shared.predict(put_at((1, 2, 3), value))
    assert rounded.status_code == 200
    assert rounded.json() == shared.predict(put_at((1, 2, 3), bound)).json()


def test_an_empty_signature_name_is_the_default(shared):
    """As with TensorFlow Serving, whose clients send it so."""
    assert shared.predict([GREY], signature_name="").json() == shared.predict([GREY]).json()


def test_the_content_type_does_not_matter(shared):
    """As with TensorFlow Serving, curl -d with its form type works."""
    body = json.dumps({"instances": [GREY]})
    response = shared.http.post(
        PREDICT, content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert response.status_code == 200


def test_the_last_of_duplicate_keys_counts(shared):
    """A duplicate key is no reason to fail."""
    image = json.dumps(GREY)
    response = shared.http.post(PREDICT, content=f'{{"instances": [], "instances": [{image}]}}')
    assert len(response.json()["predictions"]) == 1


WRONG = {
    "no body": (b"", "not JSON"),
    "not JSON": (b"instances", "not JSON"),
    "not UTF-8": (b'{"instances": "\xff"}', "not JSON"),
    "NaN": (b'{"instances": [[[NaN]]]}', "not JSON"),
    "a number too large for a double": (b'{"instances": [[[1e999]]]}', "not JSON"),
    "nested too deeply": (b"[" * 20_000 + b"]" * 20_000, "not JSON"),
    "not an object": ([GREY], "not a JSON object"),
    "neither": ({}, "neither is there"),
    "both": ({"instances": [], "inputs": []}, "not both"),
    "an unknown key": ({"instances": [], "threshold": 1}, "unknown key 'threshold'"),
    "an unknown signature": ({"instances": [], "signature_name": "classify"}, "'classify' is unknown"),
    "a signature that is no name": ({"instances": [], "signature_name": [1]}, "signature_name"),
    "a single image": (
        {"instances": GREY},
        f"instances[0][0]: the number 0.5, expected a list of 28; {WHOLE}",
    ),
    "a number": ({"instances": 3}, f"instances: the number 3, expected a list of rows; {WHOLE}"),
    "null": ({"instances": None}, "instances: null"),
    "a string": ({"inputs": "image"}, "inputs: the string 'image'"),
    "an image that is none": ({"instances": [GREY, None]}, "instances[1]: null, expected a row"),
    "a row too few": ({"instances": put_at((1,), GREY[:27])}, "instances[1]: a list of 27, expected 28"),
    "a pixel too many": ({"inputs": put_at((0, 27), [0] * 29)}, "inputs[0][27]: a list of 29, expected 28"),
    "flat": ({"instances": [[0.5] * 784]}, f"instances[0]: a list of 784, expected 28; {WHOLE}"),
    "three channels": (
        {"instances": [[[[0.5] * 3] * 28] * 28]},
        f"instances[0][0][0]: a list of 3, expected a number; {WHOLE}",
    ),
    "some with a channel": (
        {"instances": [WITH_CHANNEL, GREY]},
        "instances[1][0][0]: the number 0.5, expected",
    ),
    "some without": ({"inputs": [GREY, WITH_CHANNEL]}, "inputs[1][0][0]: a list of 1, expected a number"),
    "a list for a pixel": ({"instances": put_at((1, 2, 3), [0])}, "instances[1][2][3]: a list of 1"),
    "a string for a pixel": ({"instances": put_at((1, 2, 3), "0.5")}, "instances[1][2][3]: the string '0.5'"),
    "null for a pixel": ({"instances": put_at((1, 2, 3), None)}, "instances[1][2][3]: null"),
    "true for a pixel": ({"instances": put_at((1, 2, 3), True)}, "instances[1][2][3]: true"),
    "an object for a pixel": ({"instances": put_at((1, 2, 3), {})}, "instances[1][2][3]: an object"),
    "a byte": ({"instances": put_at((1, 2, 3), 255)}, "instances[1][2][3]: 255 is outside 0..1; divide"),
    "slightly above": ({"instances": put_at((0, 0, 0), 1.001)}, "instances[0][0][0]: 1.001 is outside 0..1"),
    "negative": ({"inputs": {"imgs": put_at((1, 0, 0), -0.1)}}, "inputs.imgs[1][0][0]: -0.1 is outside"),
    "too large for float32": ({"instances": put_at((0, 0, 0), 1e39)}, "instances[0][0][0]: inf is outside"),
    "a huge whole number": ({"instances": put_at((0, 0, 0), 10**300)}, "instances[0][0][0]"),
    "another input": ({"instances": [{"X": GREY}]}, "instances[0]: unknown input 'X', expected 'imgs'"),
    "no input": ({"inputs": {}}, "inputs: no input 'imgs'"),
    "two inputs": ({"inputs": {"imgs": [], "X": []}}, "inputs: unknown input 'X'"),
    "named and plain": ({"instances": [{"imgs": GREY}, GREY]}, "instances[1]: not an object"),
    "plain and named": ({"instances": [GREY, {"imgs": GREY}]}, "instances[1]: an object"),
    "too many images": ({"instances": [GREY] * 31}, "instances: more than 30 rows in one request"),
    "far too many images": ({"instances": [GREY] * 250}, "instances: more than 30 rows in one request"),
    "too many lists": ({"instances": [[]] * 200_000}, f"instances[0]: a list of 0, expected 28; {WHOLE}"),
    "too many strings": ({"instances": ["a"] * 200_000}, "instances[0]: the string 'a', expected a row"),
    "too many numbers": (
        {"instances": [0] * 300_000},
        f"instances[0]: the number 0, expected a row; {WHOLE}",
    ),
    "too many objects": ({"instances": [{}] * 200_000}, "instances[0]: no input 'imgs'"),
    "a long string": (
        {"instances": ["a" * 900_000]},
        "instances[0]: the string 'aaaaaaaaaaaaaaaaaaaa', expected",
    ),
    "an escaped name": (rb'{"inst\u0061nces": []}' + b" " * 900_000, "a body of over 512 KiB has to be"),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_told_what_is_wrong_and_where(shared, body, message):
    """Whatever is wrong with a body: 400, the reason with its place, and the server goes on."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = shared.http.post(PREDICT, content=content)
    assert response.status_code == 400
    assert message in response.json()["error"]
    assert response.headers["x-model-version"] == "1"
    assert shared.process.poll() is None


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/mnist/versions/7:predict", 404, "Servable not found for request"),
        ("POST", "/v1/models/other:predict", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/mnist/versions/7", 404, "Could not find version 7"),
        ("GET", f"/v1/models/mnist/versions/{'9' * 5000}", 404, "Could not find version 999"),
        ("GET", "/v1/models/mnist/versions/7/metadata", 404, "Servable not found"),
        ("GET", PREDICT, 405, "Method Not Allowed"),
        ("DELETE", "/v1/models/mnist/versions/1:predict", 405, "Method Not Allowed"),
        ("POST", "/v1/models/mnist", 405, "Method Not Allowed"),
        ("POST", "/v1/models/mnist:classify", 405, "Method Not Allowed"),
        ("GET", "/nothing", 404, "Not Found"),
    ],
)
def test_a_wrong_address_is_told_so(shared, method, path, status, message):
    """Unknown models, versions, paths and methods get a JSON error with a fitting status."""
    response = shared.http.request(method, path)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert response.headers["x-model-version"] == "1"


def test_a_version_can_be_asked_by_number(shared):
    """/versions/N:predict answers where N is served."""
    response = shared.http.post("/v1/models/mnist/versions/1:predict", json={"instances": [GREY]})
    assert response.json() == shared.predict([GREY]).json()


@pytest.mark.parametrize("path", ["/v1/models/mnist", "/v1/models/mnist/versions/1"])
def test_the_status_is_that_of_tensorflow_serving(shared, path):
    """The status lists the version with its state as TensorFlow Serving writes it."""
    ok = {"error_code": "OK", "error_message": ""}
    response = shared.http.get(path)
    assert response.json() == {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": ok}]}


@pytest.mark.parametrize("path", ["/v1/models/mnist/metadata", "/v1/models/mnist/versions/1/metadata"])
def test_the_metadata_is_that_of_tensorflow_serving(shared, path):
    """The metadata names each signature's inputs and outputs with type and shape."""
    metadata = shared.http.get(path).json()
    assert metadata["model_spec"] == {"name": "mnist", "signature_name": "", "version": "1"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "infer", "reconstruct"}
    described = {
        name: (tensor["dtype"], [dim["size"] for dim in tensor["tensor_shape"]["dim"]])
        for kind in ("inputs", "outputs")
        for name, tensor in signatures["serving_default"][kind].items()
    }
    assert described == {
        "imgs": ("DT_FLOAT", ["-1", "28", "28"]),
        "class_ids": ("DT_INT64", ["-1"]),
        "probabilities": ("DT_FLOAT", ["-1", "10"]),
        "logits": ("DT_FLOAT", ["-1", "10"]),
        "score": ("DT_FLOAT", ["-1"]),
        "in_distribution": ("DT_BOOL", ["-1"]),
    }
    assert signatures["infer"]["method_name"] == "tensorflow/serving/predict"
