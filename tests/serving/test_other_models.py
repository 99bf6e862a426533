"""A model that is no classifier of images: rows of any rank and type, classes with names, no score."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.channels.rollout import probe
from tasks.release.contract import MANIFEST
from tasks.release.reader import Release

PREDICT = "/v1/models/mnist:predict"
NAMES = ("setosa", "versicolor", "größer")
TABLE = np.eye(4, dtype=np.float32)  # the last row is between the first two classes


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with release 1 of such a model."""
    folder = tmp_path_factory.mktemp("others")
    script = Path(__file__).with_name("make_other_release.py")
    subprocess.run([sys.executable, str(script), str(folder / "1")], check=True, capture_output=True)
    return folder


@pytest.fixture
def server(start, others):
    """A server of that release."""
    return start("--releases", str(others))


@pytest.fixture
def client(server):
    with Client(Endpoint(str(server.http.base_url), "mnist")) as client:
        yield client


def test_it_is_probed_and_counted(server, others):
    """Without threshold and rate the golden rows agree, rows are counted, and nothing is in or out."""
    release = Release(others / "1")
    assert (release.threshold, release.false_positive_rate, release.classes) == (None, None, NAMES)
    probe(Endpoint(str(server.http.base_url), "mnist"), release, 1, rtol=1e-4)
    metrics = server.metrics()
    assert metrics["slipway_images_total"] == 4
    assert (metrics["slipway_inliers_total"], metrics["slipway_outliers_total"]) == (0, 0)
    assert not [name for name in metrics if name.startswith("slipway_model_false_positive_rate")]
    assert metrics["slipway_model_ready"] == 1


@pytest.mark.parametrize("runtime", ["litert", "tensorflow"])
def test_rows_of_any_rank_and_type_are_answered(start, others, runtime):
    """Both runtimes take what the manifest describes: numbers, tables, volumes, and whole numbers as such."""
    server = start("--releases", str(others), runtime=runtime, wait=False)
    while server.health().get("version") != 1:
        assert server.process.poll() is None
    rng = np.random.default_rng(3)
    volume = rng.uniform(-1, 1, (70, 2, 3, 4)).astype(np.float32)
    codes = rng.integers(-1000, 1000, (5, 2), dtype=np.int32)
    with Client(Endpoint(str(server.http.base_url), "mnist")) as client:
        assert client.predict(TABLE).outputs["class_ids"].tolist()[:3] == [0, 1, 2]
        means = client.predict(volume, "volume").outputs["mean"]
        np.testing.assert_allclose(means, volume.mean(axis=(1, 2, 3)), atol=1e-6)
        totals = client.predict(codes, "codes").outputs["total"]
        assert totals.dtype == np.int32
        np.testing.assert_array_equal(totals, codes.sum(axis=1))
        doubles = client.predict(np.array([0.5, -3], np.float32), "scalar").outputs["double"]
        np.testing.assert_array_equal(doubles, [1, -6])


def test_rows_of_over_a_mebibyte_are_answered(server, client):
    """How long a row may be follows from its shape, in both formats."""
    wide = np.random.default_rng(4).random((2, 160, 200, 3), dtype=np.float32)
    assert len(json.dumps(wide[0].tolist())) > 2**20
    np.testing.assert_allclose(client.predict(wide, "wide").outputs["mean"], wide.mean(axis=(1, 2, 3)), 1e-5)
    rows = server.predict(wide, signature_name="wide")
    np.testing.assert_allclose(rows.json()["predictions"], wide.mean(axis=(1, 2, 3)), 1e-5)


def test_classes_are_answered_with_their_names(server, client):
    """In rows and in columns, in the metadata and in the client, where they are no output of the model."""
    rows = server.predict(TABLE[:3]).json()["predictions"]
    assert [row["class_names"] for row in rows] == list(NAMES)
    assert list(rows[0]) == ["class_ids", "probabilities", "class_names"]
    columns = server.http.post(PREDICT, json={"inputs": TABLE[:3].tolist()}).json()["outputs"]
    assert (columns["class_ids"], columns["class_names"]) == ([0, 1, 2], list(NAMES))
    empty = server.http.post(PREDICT, json={"inputs": []}).json()["outputs"]
    assert empty == {"class_ids": [], "probabilities": [], "class_names": []}
    described = client.metadata()["metadata"]["signature_def"]["signature_def"]
    names = described["serving_default"]["outputs"]["class_names"]
    assert (names["dtype"], names["tensor_shape"]["dim"][0]["size"]) == ("DT_STRING", "-1")
    assert "class_names" not in described["volume"]["outputs"]
    answer = client.predict(TABLE[[2, 0]])
    assert answer.class_names == (NAMES[2], NAMES[0])
    assert list(answer.outputs) == ["class_ids", "probabilities"]
    assert client.predict(np.zeros((1, 2), int), "codes").class_names is None


def test_many_rows_have_their_own_names(client):
    """More rows than are written at once keep the order of their names."""
    picked = np.random.default_rng(5).integers(0, 3, 300)
    assert client.predict(TABLE[picked]).class_names == tuple(NAMES[index] for index in picked)


@pytest.mark.parametrize("classes", [None, ["0", "1", "2"]], ids=["absent", "counted"])
def test_classes_without_names_are_answered_as_ever(start, others, tmp_path, classes):
    """A release of before, and one whose classes are only counted, have ids alone."""
    with_classes(others, tmp_path / "1", classes)
    server = start("--releases", str(tmp_path))
    assert set(server.predict(TABLE).json()["predictions"][0]) == {"class_ids", "probabilities"}
    assert "class_names" not in server.http.get("/v1/models/mnist/metadata").text


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b"], "2 classes are named"),
        ("abc", "'classes' is no list of names"),
        ([1, 2, 3], "no list of names"),
    ],
)
def test_wrong_names_are_not_served(start, others, tmp_path, classes, message):
    """Names that are fewer than the classes would be answered for the wrong ones."""
    with_classes(others, tmp_path / "1", classes)
    server = start("--releases", str(tmp_path), wait=False)
    while message not in server.health().get("error", ""):
        assert server.process.poll() is None
    assert server.health()["version"] == 0


def with_classes(others: Path, folder: Path, classes: object) -> None:
    """Copy the release, with other classes in its manifest."""
    shutil.copytree(others / "1", folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest.pop("classes")
    if classes is not None:
        manifest["classes"] = classes
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("signature", "rows", "message"),
    [
        ("codes", [[1.5, 2]], "the values have to be whole numbers of int32"),
        ("codes", [[2**31, 2]], "within -2147483648..2147483647"),
        ("codes", [[True, 2]], r"instances\[0\]\[0\]: true, expected a number"),
        ("codes", [[1, 2, 3]], r"a list of 3, expected 2; the whole has the shape N × 2"),
        ("volume", [[[[[0.5]] * 4] * 3] * 2], r"a list of 1, expected a number"),
        ("volume", np.full((1, 2, 3, 4), -2).tolist(), r"-2 is outside -1\.\.1"),
        ("scalar", [[1]], "a list of 1, expected a number; the whole has the shape N"),
        ("scalar", [1e39], r"instances\[0\]: inf is outside"),
        ("serving_default", [[[1.0]] * 4], r"instances\[0\]\[0\]: a list of 1, expected a number"),
    ],
)
def test_what_is_no_row_is_told(server, signature, rows, message):
    """An axis of one channel is accepted for rows of rank 2 alone; whole numbers are not rounded."""
    response = server.http.post(PREDICT, json={"signature_name": signature, "instances": rows})
    assert response.status_code == 400
    assert re.search(message, response.json()["error"])
