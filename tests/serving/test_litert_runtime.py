"""The LiteRT runtime alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tasks.serving.litert import CHUNK, LiteRT


@pytest.fixture(scope="module")
def model(releases):
    return LiteRT(threads=1).load(releases / "1")


def test_the_answers_are_those_of_the_savedmodel(model, golden):
    """All outputs of all signatures agree with the golden ones."""
    imgs = golden[1]["imgs"]
    outputs = {
        name: value
        for key in ("serving_default", "infer", "reconstruct")
        for name, value in model.run(key, imgs).items()
    }
    for name in ("class_ids", "in_distribution"):
        np.testing.assert_array_equal(outputs[name], golden[1][name])
    for name in ("logits", "probabilities", "score", "reconstructed", "images"):
        np.testing.assert_allclose(outputs[name], golden[1][name], 1e-4, 1e-5)


@pytest.mark.parametrize("count", [0, 1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_any_number_of_images_gives_as_many_rows(model, count):
    """An image's answer is the same whatever comes with it; no images give empty outputs."""
    imgs = np.random.default_rng(5).random((count, 28, 28), dtype=np.float32)
    outputs = model.run("serving_default", imgs)
    assert outputs["logits"].shape == (count, 10)
    assert outputs["class_ids"].dtype == np.int64
    assert outputs["in_distribution"].dtype == bool
    alone = [model.run("serving_default", imgs[index : index + 1])["logits"] for index in range(count)]
    np.testing.assert_allclose(outputs["logits"], np.reshape(alone, (count, 10)), 1e-4, 1e-5)


def test_threads_do_not_disturb_each_other(model):
    """Calls of different sizes at once give what they give alone."""
    rng = np.random.default_rng(6)
    requests = [rng.random((count, 28, 28), dtype=np.float32) for count in (1, 2, 70, 1, 5) * 8]
    alone = [model.run("infer", imgs)["reconstructed"] for imgs in requests]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda imgs: model.run("infer", imgs)["reconstructed"], requests))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, 1e-5)


def test_a_model_does_not_depend_on_its_file(releases, tmp_path, golden):
    """What is loaded stays loaded: a file that is overwritten or removed changes no answer."""
    path = tmp_path / "assets.extra" / "model.tflite"
    path.parent.mkdir()
    path.write_bytes((releases / "1" / "assets.extra" / "model.tflite").read_bytes())
    model = LiteRT(threads=1).load(tmp_path)
    path.write_bytes(b"\0" * path.stat().st_size)
    path.unlink()
    outputs = model.run("serving_default", golden[1]["imgs"])
    np.testing.assert_array_equal(outputs["class_ids"], golden[1]["class_ids"])
