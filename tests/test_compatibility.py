"""A delivery under a name that is served already with another contract is refused before it trains."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settings.errors import WrongInput
from settings.places import read_places
from tasks.compatibility import check_contract
from tasks.release.contract import MANIFEST, Signature, Tensor
from tasks.release.document import Wanted
from tasks.release.reader import Release
from tasks.workplace import Workplace, open_workplace
from tests.channels.conftest import free_port

NAMES = [f"class {index}" for index in range(10)]


@pytest.fixture
def place(releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A workplace with version 1 in production."""
    shutil.copytree(releases / "1", tmp_path / "models" / "mnist" / "1")
    for channel in ("STAGE", "PRODUCTION"):
        monkeypatch.setenv(f"{channel}_PORT", str(free_port()))
    monkeypatch.setenv("MODELS_ROOT", str(tmp_path / "models"))
    made = open_workplace(read_places(os.environ, tmp_path), "mnist")
    made.backend.put("production", Wanted(1), should_stop=lambda: False)
    yield made
    made.backend.remove("production")


@pytest.fixture
def served(releases: Path) -> dict[str, Signature]:
    """The signatures of that version."""
    return Release(releases / "1").signatures


def changed(served: dict[str, Signature], **tensors: Tensor | None) -> dict[str, Signature]:
    """Give the signatures with other outputs, or another input `imgs`; None: without it."""
    signature = served["serving_default"]
    inputs: dict[str, Any] = {**signature.inputs, **{k: v for k, v in tensors.items() if k == "imgs"}}
    outputs: dict[str, Any] = {**signature.outputs, **{k: v for k, v in tensors.items() if k != "imgs"}}
    kept = {name: tensor for name, tensor in outputs.items() if tensor is not None}
    return {**served, "serving_default": Signature(inputs, kept)}


def name_classes(place: Workplace, classes: list[str] | None) -> None:
    path = place.registry.folder(1) / MANIFEST
    manifest = json.loads(path.read_bytes()) | {"classes": classes}
    path.write_text(json.dumps({name: value for name, value in manifest.items() if value is not None}))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"imgs": Tensor("float32", (-1, 32, 32))},
            r"its input imgs is float32 \(N, 28, 28\), that to come float32 \(N, 32",
        ),
        ({"imgs": Tensor("uint8", (-1, 28, 28))}, r"that to come uint8 \(N, 28, 28\)"),
        (
            {"score": None, "in_distribution": None},
            r"its output in_distribution is bool \(N\), that to come missing",
        ),
        (
            {"logits": Tensor("float32", (-1, 47))},
            r"its output logits is float32 \(N, 10\), that to come float32 \(N, 47\)",
        ),
        ({"depth": Tensor("float32", (-1,))}, r"its output depth is missing, that to come float32 \(N\)"),
    ],
)
def test_another_contract_is_refused(place, served, tensors, message):
    """One line says the difference and what to do."""
    with pytest.raises(WrongInput, match=message) as refused:
        check_contract(place, changed(served, **tensors), None)
    assert "\n" not in str(refused.value)
    assert "another name (serving.name), or take mnist out of service first" in str(refused.value)


def test_the_same_contract_is_accepted(place, served):
    """Whatever the words and the ranges are, and whatever other signatures there are."""
    score = replace(served["serving_default"].outputs["score"], meaning="other words", range=(0.0, 9.0))
    signatures = changed(served, score=score)
    check_contract(place, {"serving_default": signatures["serving_default"]}, None)


def test_classes_are_compared_where_the_version_tells_them(place, served):
    """Numbers are no names; a version that tells none is compared by shapes alone."""
    name_classes(place, None)
    check_contract(place, served, NAMES)
    name_classes(place, NAMES)
    check_contract(place, served, NAMES)
    with pytest.raises(WrongInput, match=r"its classes are class 0, .* those to come numbers"):
        check_contract(place, served, [str(index) for index in range(10)])
    name_classes(place, [str(index) for index in range(10)])
    check_contract(place, served, None)
    with pytest.raises(WrongInput, match="its classes are numbers, those to come class 0"):
        check_contract(place, served, NAMES)


def test_the_remedy_works(place, served):
    """Nobody asks a model that is out of service, so another contract may take its name."""
    other = changed(served, imgs=Tensor("float32", (-1, 32, 32)))
    place.backend.remove("production", keep=True)
    check_contract(place, other, None)


def test_a_version_that_cannot_be_read_is_in_nobodys_way(place, served, caplog):
    """The delivery makes it anew; the log says that nothing was compared."""
    (place.registry.folder(1) / MANIFEST).write_text("{")
    check_contract(place, changed(served, imgs=Tensor("float32", (-1, 32, 32))), None)
    assert "is not compared" in caplog.text
