"""Both forms of a release keep the promise of the contract: names, types, shapes, and the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from settings.model import Description
from tasks.models.builtin import BUILT_IN
from tasks.release.contract import ALONE, CLASSIFIER_ALONE, TFLITE, Signature
from tasks.release.inprocess import Answers, load_saved_model, run_litert
from tasks.release.parity import compare
from tasks.release.promise import promised
from tasks.release.reader import Release

SIGNATURES = promised(BUILT_IN, Description(shape=(28, 28), classes=tuple("0123456789")))
COUNTS = (0, 1, 1000)


def answers_of(form: str, folder: Path, images: np.ndarray, signature: str) -> Answers:
    if form == "SavedModel":
        return load_saved_model(folder)(images, signature)
    return run_litert(folder / TFLITE, images, signature=signature)


def assert_keeps(answers: Answers, signature: Signature, count: int) -> None:
    found = {name: (str(output.dtype), output.shape) for name, output in answers.items()}
    assert found == {
        name: (tensor.dtype, (count, *tensor.shape[1:])) for name, tensor in signature.outputs.items()
    }


@pytest.mark.parametrize("form", ["SavedModel", "LiteRT"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", SIGNATURES)
def test_outputs(released: Path, images: np.ndarray, name: str, count: int, form: str) -> None:
    """Every signature of both forms gives the outputs that it promises, for no, one and many images."""
    assert_keeps(answers_of(form, released, images[:count], name), SIGNATURES[name], count)


@pytest.mark.parametrize(
    ("folder", "name", "outputs"),
    [
        (CLASSIFIER_ALONE, "serving_default", ("class_ids", "probabilities", "logits")),
        (f"{ALONE}/concept", "infer", ("reconstructed",)),
    ],
)
def test_networks_alone(
    released: Path, images: np.ndarray, folder: str, name: str, outputs: tuple[str, ...]
) -> None:
    """Each network alone is a SavedModel with its one signature, and answers as the release does."""
    promised = SIGNATURES[name]
    signature = Signature(promised.inputs, {output: promised.outputs[output] for output in outputs})
    for count in COUNTS:
        alone = load_saved_model(released / folder)(images[:count], name)
        assert_keeps(alone, signature, count)
        whole = load_saved_model(released)(images[:count], name)
        for output in signature.outputs:
            np.testing.assert_array_equal(alone[output], whole[output])


def test_savedmodel_signatures(released: Path) -> None:
    """The SavedModel has exactly the three signatures, with the promised inputs."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(released)).signatures
    found = {
        name: {
            argument: (spec.dtype.name, tuple(spec.shape))
            for argument, spec in function.structured_input_signature[1].items()
        }
        for name, function in signatures.items()
    }
    images = ("float32", (None, 28, 28))
    assert found == {
        "serving_default": {"imgs": images},
        "infer": {"X": images},
        "reconstruct": {"X": images},
    }


def test_litert_signatures(released: Path) -> None:
    """The LiteRT file has exactly the three signatures, with the promised inputs and a free N."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(released / TFLITE))
    assert set(interpreter.get_signature_list()) == set(SIGNATURES)
    for name, signature in SIGNATURES.items():
        details = interpreter.get_signature_runner(name).get_input_details()
        found = {
            argument: (detail["dtype"], tuple(detail["shape_signature"]))
            for argument, detail in details.items()
        }
        assert found == dict.fromkeys(signature.inputs, (np.float32, (-1, 28, 28)))


@pytest.mark.parametrize("name", SIGNATURES)
def test_forms_agree(released: Path, images: np.ndarray, name: str) -> None:
    """LiteRT answers as the SavedModel does, by the gate's tolerance."""
    parity = compare(
        run_litert(released / TFLITE, images, signature=name),
        load_saved_model(released)(images, name),
        rtol=1e-4,
        scales=Release(released).scales,
        threshold=Release(released).threshold,
    )
    assert parity.agree, str(parity)
    assert parity.rows == 1000


def test_outputs_fit_each_other(released: Path, images: np.ndarray) -> None:
    """Class, probabilities, flag and errors are what the other outputs and the numbers say."""
    answers = load_saved_model(released)(images)
    np.testing.assert_array_equal(answers["class_ids"], answers["logits"].argmax(axis=1))
    softmax = np.exp(answers["logits"]) / np.exp(answers["logits"]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], softmax, rtol=1e-4)
    np.testing.assert_array_equal(answers["in_distribution"], answers["score"] <= Release(released).threshold)
    rebuilt = load_saved_model(released)(images, "reconstruct")["images"]
    error = load_saved_model(released)(images, "infer")["reconstructed"]
    np.testing.assert_allclose(error, np.mean((images - rebuilt) ** 2, axis=(1, 2)), rtol=1e-4)
    padded = np.pad(images - rebuilt, ((0, 0), (1, 1), (1, 1)))
    smooth = sum(padded[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)) / 9
    coarse = np.mean(smooth**2, axis=(1, 2)) / (images.var(axis=(1, 2)) + 0.01)
    np.testing.assert_allclose(answers["score"], coarse, rtol=1e-4)
