"""The scale on which an output's rounding is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from settings.hyperparameters import JudgingSettings
from tasks.release.reader import Release
from tasks.release.scales import measure_scales
from tasks.release.signatures import Signed


def product(kernel: np.ndarray) -> Signed:
    """Give a network that is one product: y of images (N, 28, 28) and weights (784, C), and whether y > 0."""
    module = tf.Module()
    module.kernel = tf.Variable(np.float32(kernel))

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.float32, name="imgs")])
    def answer(imgs: tf.Tensor) -> dict[str, tf.Tensor]:
        y = tf.reshape(imgs, (-1, 784)) @ module.kernel
        return {"y": y, "positive": y > 0}

    return Signed(module, {"serving_default": answer.get_concrete_function()})


@pytest.fixture
def imgs() -> np.ndarray:
    """Give 200 images of noise, float32."""
    return np.random.default_rng(1).random((200, 28, 28), dtype=np.float32)


@pytest.mark.parametrize("size", [1.0, 1_000.0])
def test_the_scale_of_a_product_is_that_of_its_terms(imgs: np.ndarray, size: float) -> None:
    """The root of the sum of their squares, also where they cancel; outputs that are no floats have none."""
    kernel = size * np.random.default_rng(2).normal(0, 1, (784, 30))
    kernel[:, 2] = np.tile([size, -size], 392)  # of blank images nothing is left
    blank = np.ones_like(imgs)
    assert np.abs((blank.reshape(-1, 784) @ kernel)[:, 2]).max() < 1e-6
    for given in (imgs, blank):
        squares = np.square(given.reshape(-1, 784)) @ np.square(kernel)  # (N, 30), each a sum over 784 terms
        scales = measure_scales(product(kernel), given)
        assert scales.keys() == {"y"}
        assert scales["y"] == pytest.approx(np.sqrt(squares.mean()), rel=0.15)


def test_the_weights_are_left_as_they_were(imgs: np.ndarray) -> None:
    """To the bit; and a second measurement gives the same."""
    signed = product(np.random.default_rng(2).normal(0, 1, (784, 3)))
    before = signed.module.kernel.numpy()
    assert measure_scales(signed, imgs) == measure_scales(signed, imgs)
    np.testing.assert_array_equal(signed.module.kernel.numpy(), before)


def test_values_that_are_not_finite_are_left_out(imgs: np.ndarray) -> None:
    """One image without a number does not spoil the scale of the others; without any number it is 0."""
    signed = product(np.random.default_rng(2).normal(0, 1, (784, 3)))
    spoilt = imgs.copy()
    spoilt[0] = np.nan
    assert measure_scales(signed, spoilt)["y"] == pytest.approx(measure_scales(signed, imgs)["y"], rel=0.05)
    assert measure_scales(signed, np.full_like(imgs, np.nan)) == {"y": 0.0}


def test_a_release_tells_its_scales(released: Path) -> None:
    """Every float output of every signature has one, to three digits."""
    release = Release(released)
    assert release.scales.keys() == {"images", "logits", "probabilities", "reconstructed", "score"}
    for scale in release.scales.values():
        assert scale > 0
        assert scale == float(f"{scale:.3g}")


def test_a_release_from_before_has_the_tolerance_of_before(released: Path) -> None:
    """1e-4 of the value and 1e-5, for every float output."""
    release = Release(released)
    del release.manifest["scales"]
    floats = ["images", "logits", "probabilities", "reconstructed", "score"]
    rtol = JudgingSettings().parity_rtol
    assert {name: rtol * scale for name, scale in release.scales.items()} == dict.fromkeys(floats, 1e-5)
    assert rtol == 1e-4
