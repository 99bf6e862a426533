"""The client, against the real server and against servers that misbehave."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from settings.errors import Surroundings, WrongInput
from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.release.reader import Release

DTYPES = {
    "class_ids": np.int64,
    "probabilities": np.float32,
    "logits": np.float32,
    "score": np.float32,
    "in_distribution": np.bool_,
}


@contextmanager
def server(*answers: bytes):
    """A server that gives one of these answers per connection, in turn, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1_000_000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}", "mnist")
        thread.join(10)


def answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_the_outputs_have_the_types_of_the_contract(put, models):
    """Outputs come with their dtype and shape, also for no images, and agree with the release."""
    golden = Release(models / "mnist" / "1").golden
    with Client(put(1)) as client:
        for count in (0, 1, 16):
            given = client.predict(golden["imgs"][:count])
            assert given.version == 1
            assert {name: output.dtype.type for name, output in given.outputs.items()} == DTYPES
            for name, output in given.outputs.items():
                assert output.shape == golden[name][:count].shape
                np.testing.assert_allclose(output, golden[name][:count], 1e-4, 1e-5)
        errors = client.predict(golden["imgs"], "infer").outputs
        np.testing.assert_allclose(errors["reconstructed"], golden["reconstructed"], 1e-4, 1e-5)
        images = client.predict(golden["imgs"][:0], "reconstruct").outputs["images"]
        assert (images.dtype, images.shape) == (np.float32, (0, 28, 28))
        assert client.status()["model_version_status"][0]["version"] == "1"
        assert client.metadata()["model_spec"]["name"] == "mnist"


def test_pixels_arrive_unchanged(put):
    """Every float32 comes out of the JSON as it went in: an image alone and among others scores the same."""
    imgs = np.random.default_rng(1).random((64, 28, 28), dtype=np.float32)
    with Client(put(1)) as client:
        together = client.predict(imgs, "infer").outputs["reconstructed"]
        alone = [
            client.predict(imgs[index : index + 1], "infer").outputs["reconstructed"] for index in range(3)
        ]
    np.testing.assert_allclose(np.ravel(alone), together[:3], 1e-5)


def test_a_refused_request_is_wrong_input_with_the_reason(put):
    """A 4xx becomes WrongInput with the server's own words."""
    with Client(put(1)) as client, pytest.raises(WrongInput, match=r"inputs\[0\]\[0\]\[0\]: 255 .*by 255"):
        client.predict(np.full((1, 28, 28), 255.0))


def test_threads_share_a_client(put):
    """Many threads at once get each their own answer."""
    imgs = np.random.default_rng(2).random((32, 28, 28), dtype=np.float32)
    with Client(put(1)) as client, ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda index: client.predict(imgs[index : index + 1]).outputs["score"][0], range(32))
        np.testing.assert_allclose(list(parts), client.predict(imgs).outputs["score"], 1e-4)


def test_nobody_there_is_an_error_of_the_surroundings(backend):
    """A refused connection names the endpoint."""
    endpoint = backend.endpoint("production")
    with Client(endpoint) as client, pytest.raises(Surroundings, match=rf"{endpoint.url} does not answer"):
        client.predict(np.zeros((1, 28, 28)))


def test_a_failing_server_is_an_error_of_the_surroundings():
    """A 5xx becomes Surroundings with status and reason."""
    with (
        server(answer("503 Service Unavailable", b'{"error": "too busy"}')) as endpoint,
        Client(endpoint) as client,
        pytest.raises(Surroundings, match="answers 503: too busy"),
    ):
        client.status()


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_an_answer_that_is_none_is_an_error_of_the_surroundings(body):
    """What is not a JSON object is not taken for an answer."""
    with (
        server(answer("200 OK", body)) as endpoint,
        Client(endpoint) as client,
        pytest.raises(Surroundings, match="JSON"),
    ):
        client.status()


def test_a_broken_connection_is_tried_once_more():
    """A server that ends a connection without an answer is asked again on a new one."""
    with (
        server(b"", answer("200 OK", b'{"model_version_status": []}')) as endpoint,
        Client(endpoint) as client,
    ):
        assert client.status() == {"model_version_status": []}
    with (
        server(b"", b"") as endpoint,
        Client(endpoint) as client,
        pytest.raises(Surroundings, match="does not answer"),
    ):
        client.status()
