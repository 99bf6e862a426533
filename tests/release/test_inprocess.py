"""Running a release in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.release.contract import TFLITE
from tasks.release.inprocess import in_batches, run_litert


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (4, [4]), (10, [4, 4, 2])], ids=["none", "one", "full", "rest"]
)
def test_batches(count: int, sizes: list[int]) -> None:
    """Images go in batches, the last one smaller, and their answers come back in order; none are one call."""
    seen = []

    def call(part: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(len(part))
        return {"first": part[:, 0, 0]}

    imgs = np.random.default_rng(1).random((count, 28, 28))
    answers = in_batches(call, imgs, batch=4)
    assert seen == sizes
    np.testing.assert_array_equal(answers["first"], imgs[:, 0, 0].astype(np.float32))


def test_litert_resizes(released: Path, images: np.ndarray) -> None:
    """One interpreter answers the same whatever sizes came before, none among them."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(released / TFLITE)).get_signature_runner("serving_default")
    whole = run_litert(released / TFLITE, images[:40])
    for size in (0, 1, 40, 0, 7, 1):
        answers = runner(imgs=images[:size])
        np.testing.assert_allclose(answers["logits"], whole["logits"][:size], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(answers["class_ids"], whole["class_ids"][:size])
