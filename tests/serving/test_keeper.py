"""What the server does with its document: swaps, and goes on where it cannot."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.serving import keeper as keeper_module
from tasks.serving.keeper import Keeper


def rejected(server, message):
    """Wait until the server says what is wrong with its document."""
    while message not in (error := server.health().get("error", "")):
        assert server.process.poll() is None, error
    return error


def test_a_swap_drops_no_request(start, golden):
    """Under load from four clients versions swap to and fro; each answer is that of the version it names."""
    server = start()
    imgs = golden[1]["imgs"][:4]
    expected = {1: golden[1]["logits"][:4]}
    stop = threading.Event()
    wrong: list[object] = []
    seen: list[set[int]] = [set() for _ in range(4)]
    with Client(Endpoint(str(server.http.base_url), "mnist")) as client:
        server.want(version=2)
        server.serves(2)
        expected[2] = client.predict(imgs).outputs["logits"]
        assert not np.allclose(expected[1], expected[2])

        def ask(index: int) -> None:
            while not stop.is_set():
                try:
                    answer = client.predict(imgs)
                    if not np.allclose(answer.outputs["logits"], expected[answer.version], 1e-4, 1e-5):
                        wrong.append(f"version {answer.version} answered something else")
                    seen[index].add(answer.version)
                except Exception as error:
                    wrong.append(error)

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for version in (1, 2) * 4:
            server.want(version=version)
            server.serves(version)
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert seen == [{1, 2}] * 4


def test_an_answer_keeps_the_numbers_of_its_version(start, golden):
    """After the swap the other version's numbers come, and its number stands in every header."""
    server = start()
    server.want(version=2)
    server.serves(2)
    response = server.predict(golden[2]["imgs"])
    logits = [row["logits"] for row in response.json()["predictions"]]
    np.testing.assert_allclose(logits, golden[2]["logits"], 1e-4, 1e-5)
    assert response.headers["x-model-version"] == "2"
    assert server.http.get("/v1/models/mnist").headers["x-model-version"] == "2"
    assert server.http.get("/v1/models/mnist/versions/1").status_code == 404


def damage_byte(folder: Path) -> str:
    path = folder / "assets.extra" / "model.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return "model.tflite is not as it was exported"


def remove_file(folder: Path) -> str:
    (folder / "assets.extra" / "model.tflite").unlink()
    return "model.tflite is missing"


def remove_manifest(folder: Path) -> str:
    (folder / "assets.extra" / "manifest.json").unlink()
    return "it has no assets.extra/manifest.json"


def promise_another_shape(folder: Path) -> str:
    path = folder / "assets.extra" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["signatures"]["infer"]["outputs"]["reconstructed"]["shape"] = [-1, 3]
    path.write_text(json.dumps(manifest))
    return "its manifest promises"


def promise_another_signature(folder: Path) -> str:
    path = folder / "assets.extra" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["signatures"]["other"] = manifest["signatures"]["infer"]
    path.write_text(json.dumps(manifest))
    return "other"


@pytest.mark.parametrize(
    "damage", [damage_byte, remove_file, remove_manifest, promise_another_shape, promise_another_signature]
)
def test_a_broken_version_is_not_served(start, releases, tmp_path, damage):
    """The old version goes on, status and health tell the reason, and the log has it in one line."""
    shutil.copytree(releases / "2", tmp_path / "candidates" / "5")
    message = damage(tmp_path / "candidates" / "5")
    server = start("--candidates", str(tmp_path / "candidates"))
    server.want(version=5)
    rejected(server, message)
    assert server.predict([]).headers["x-model-version"] == "1"
    entries = {
        entry["version"]: entry
        for entry in server.http.get("/v1/models/mnist").json()["model_version_status"]
    }
    assert entries["1"]["state"] == "AVAILABLE"
    assert entries["5"]["state"] == "END"
    assert entries["5"]["status"]["error_code"] == "UNKNOWN"
    assert message in entries["5"]["status"]["error_message"]
    lines = [line for line in server.log.read_text().splitlines() if "version 5 cannot be served" in line]
    assert len(lines) == 1
    assert "version 1 goes on" in lines[0]


@pytest.mark.parametrize("damage", [damage_byte, remove_file, remove_manifest])
def test_the_version_before_is_served_where_nothing_else_is(start, releases, tmp_path, damage):
    """At a start with a damaged release the way back of the document is taken, and everybody can see it.

    The wanted version is served as soon as it is whole again.
    """
    homes = tmp_path / "homes"
    for version, source in ((4, "1"), (5, "2")):
        shutil.copytree(releases / source, homes / str(version))
    message = damage(homes / "5")
    server = start("--releases", str(homes), version=5, previous=4, wait=False)
    server.serves(4)
    health = server.health()
    assert message in health["error"]
    assert health["error"].endswith("; version 4, the one before, is served in its place")
    assert (health["status"], health["fallback"]) == ("ready", True)
    assert server.predict([]).headers["x-model-version"] == "4"
    metrics = server.metrics()
    assert (metrics["slipway_document_error"], metrics["slipway_fallback"]) == (1, 1)
    assert metrics["slipway_model_info mnist 4 litert"] == 1
    states = server.http.get("/v1/models/mnist").json()["model_version_status"]
    assert {entry["version"]: entry["state"] for entry in states} == {"5": "END", "4": "AVAILABLE"}
    assert "version 4, the one before, is served in its place" in server.log.read_text()
    whole = tmp_path / "whole"
    shutil.copytree(releases / "2", whole)
    (homes / "5").rename(tmp_path / "damaged")
    whole.rename(homes / "5")
    server.serves(5)
    assert (server.health()["error"], server.health()["fallback"]) == ("", False)
    assert server.metrics()["slipway_fallback"] == 0


def test_neither_version_can_be_served(start, releases, tmp_path):
    """Where the version before is damaged too, nothing is served and both reasons are told."""
    homes = tmp_path / "homes"
    for version in (4, 5):
        shutil.copytree(releases / "1", homes / str(version))
        damage_byte(homes / str(version))
    server = start("--releases", str(homes), version=5, previous=4, wait=False)
    error = rejected(server, "nor can version 4, the one before: ")
    assert error.count("model.tflite is not as it was exported") == 2
    assert server.http.get("/health/ready").status_code == 503


def test_a_version_that_goes_on_is_no_fallback(start, releases, tmp_path):
    """A rollout that fails leaves the version that is served, whatever the document names as way back."""
    shutil.copytree(releases / "2", tmp_path / "candidates" / "5")
    message = damage_byte(tmp_path / "candidates" / "5")
    server = start("--candidates", str(tmp_path / "candidates"))
    server.want(version=5, previous=2)
    assert "in its place" not in rejected(server, message)
    assert (server.health()["version"], server.health()["fallback"]) == (1, False)


def test_a_version_that_is_nowhere_is_not_served(start, releases):
    """Health says so without a path; the log names the folders that were searched."""
    server = start()
    server.want(version=9)
    rejected(server, "version 9 cannot be served: version 9 is not in the releases")
    assert f"version 9 is not in {releases}; version 1 goes on" in server.log.read_text()
    server.want(version=2)
    server.serves(2)
    assert server.health()["error"] == ""


@pytest.mark.parametrize("missing", ["", "assets.extra/manifest.json", "assets.extra/model.tflite"])
def test_a_version_that_appears_later_is_served(start, releases, tmp_path, missing):
    """What is not there yet is tried again until it is, whatever of it came first; the log tells it once."""
    home = tmp_path / "candidates"
    home.mkdir()
    server = start("--candidates", str(home))
    if missing:
        shutil.copytree(releases / "2", home / "5")
        (home / "5" / missing).rename(tmp_path / "late")
    server.want(version=5)
    rejected(server, "version 5 cannot be served")
    refused = server.health()
    assert (refused["version"], refused["settled"]) == (1, False)
    if missing:
        (tmp_path / "late").rename(home / "5" / missing)
    else:
        shutil.copytree(releases / "2", tmp_path / "late")
        (tmp_path / "late").rename(home / "5")
    server.serves(5)
    served = server.health()
    assert (served["error"], served["settled"], served["revision"]) == ("", True, refused["revision"])
    assert server.log.read_text().count("version 5 cannot be served") == 1


def test_a_damaged_version_is_refused_at_once(start, releases, tmp_path):
    """An altered file is a refusal; where somebody mends it, it is served all the same."""
    folder = tmp_path / "candidates" / "5"
    shutil.copytree(releases / "2", folder)
    whole = (folder / "assets.extra" / "model.tflite").read_bytes()
    message = damage_byte(folder)
    server = start("--candidates", str(tmp_path / "candidates"))
    server.want(version=5)
    rejected(server, message)
    assert server.health()["settled"] is True
    (folder / "assets.extra" / "model.tflite").write_bytes(whole)
    server.serves(5)


def test_what_is_tried_again_is_tried_ever_less_often(tmp_path, releases, monkeypatch):
    """The pauses double up to a bound, and a new document is obeyed at once."""
    clock = [100.0]
    monkeypatch.setattr("tasks.serving.keeper.time.monotonic", lambda: clock[0])
    document = tmp_path / "channel.json"
    document.write_bytes(b'{"version": 9}')
    keeper = Keeper(document, [releases], threads=1)
    tried: list[float] = []
    load = keeper._load

    def counted(*wanted: Any) -> Any:
        tried.append(clock[0])
        return load(*wanted)

    monkeypatch.setattr(keeper, "_load", counted)
    for _ in range(1_000):
        asyncio.run(keeper.reconcile())
        clock[0] += 0.1
    pauses = np.diff(tried)
    assert (pauses[1:] >= pauses[:-1] - 0.11).all()
    np.testing.assert_allclose(pauses[:4], [0.1, 0.2, 0.4, 0.8], atol=0.11)
    assert pauses.max() <= keeper_module.LONGEST_PAUSE_SECONDS + 0.11
    document.write_bytes(b'{"version": 1, "max_images": 7}')
    asyncio.run(keeper.reconcile())
    assert (keeper.version, keeper.error, keeper.settled) == (1, "", True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"version": 2', "not JSON"),
        (b"[2]", "not a JSON object"),
        (b"{}", "it names no version"),
        (b'{"version": "2"}', "version is '2', not a whole number"),
        (b'{"version": true}', "version is True"),
        (b'{"version": -1}', "version is -1"),
        (b'{"version": 2, "max_images": 0}', "max_images is 0"),
        (b'{"version": 2, "runtime": "onnx"}', "runtime is 'onnx'"),
        (b'{"version": 2, "canary": 3}', "unknown name 'canary'"),
        (b'{"version": 2, "schema": 99, "canary": 3}', "written by a newer Slipway"),
    ],
)
def test_a_document_that_cannot_be_obeyed_changes_nothing(content, message, tmp_path, releases, caplog):
    """The old version goes on, and the error says what is wrong with the document."""
    document = tmp_path / "channel.json"
    document.write_bytes(b'{"version": 1}')
    keeper = Keeper(document, [releases], threads=1)
    asyncio.run(keeper.reconcile())
    (tmp_path / "new").write_bytes(content)
    (tmp_path / "new").replace(document)
    asyncio.run(keeper.reconcile())
    assert keeper.version == 1
    assert message in keeper.error
    assert "version 1 goes on" in caplog.text


def test_a_half_written_document_is_survived_by_the_process(start):
    """A document that is damaged in place is reported, and obeyed again once it is whole."""
    server = start()
    server.document.write_bytes(b'{"versi')
    rejected(server, "not JSON")
    assert server.predict([]).headers["x-model-version"] == "1"
    entries = server.http.get("/v1/models/mnist").json()["model_version_status"]
    assert "not JSON" in entries[0]["status"]["error_message"]
    server.want(version=2)
    server.serves(2)


def test_a_document_that_goes_away_changes_nothing(start):
    """Deleting the document is no instruction."""
    server = start()
    server.document.unlink()
    rejected(server, "there is no document")
    assert server.predict([]).headers["x-model-version"] == "1"


def test_without_a_document_nothing_is_served_yet(start, tmp_path):
    """The server lives, is not ready, says why, and serves as soon as there is a document."""
    server = start(version=None)
    while not (health := server.health()):
        assert server.process.poll() is None
    assert health["version"] == 0
    rejected(server, "there is no document")
    assert server.http.get("/health/ready").status_code == 503
    assert server.http.get("/health/live").status_code == 200
    assert server.predict([]).status_code == 503
    assert server.http.get("/v1/models/mnist").status_code == 404
    assert server.predict([]).headers["x-model-version"] == "0"
    server.want(version=1)
    server.serves(1)


def test_version_0_takes_the_model_away(start):
    """Version 0 is the wish to serve nothing."""
    server = start()
    server.want(version=0)
    server.serves(0)
    assert server.predict([]).status_code == 503


def test_limits_change_without_loading_again(start):
    """A document with the same version and other limits changes the limits alone."""
    server = start()
    server.want(version=1, max_images=2)
    while server.predict(np.zeros((3, 28, 28))).status_code == 200:
        assert server.process.poll() is None
    assert server.predict(np.zeros((2, 28, 28))).status_code == 200
    assert server.log.read_text().count("is served by") == 1


def test_a_version_made_anew_is_loaded_anew(tmp_path, releases):
    """Asked again for the same version, the keeper loads it where its manifest has become another."""
    document, home = tmp_path / "channel.json", tmp_path / "home"
    shutil.copytree(releases / "1", home / "1")
    document.write_bytes(b'{"version": 1}')
    keeper = Keeper(document, [home], threads=1)
    asyncio.run(keeper.reconcile())
    before = keeper.loaded
    shutil.rmtree(home / "1")
    document.write_bytes(b'{"version": 1, "max_images": 5}')
    asyncio.run(keeper.reconcile())
    assert "version 1 is not in" in keeper.error
    assert keeper.loaded is before
    shutil.copytree(releases / "2", home / "1")
    document.write_bytes(b'{"version": 1, "max_images": 55}')
    asyncio.run(keeper.reconcile())
    assert (keeper.version, keeper.error) == (1, "")
    assert keeper.loaded.digest != before.digest
