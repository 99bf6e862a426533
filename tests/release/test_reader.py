"""Reading a release without TensorFlow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from settings.errors import WrongInput
from tasks.release.reader import Release
from tasks.store.schema import SCHEMA, Newer


@pytest.fixture
def copy(tmp_path: Path, released: Path) -> Path:
    """A release of its own, to be damaged."""
    return Path(shutil.copytree(released, tmp_path / "3"))


def test_reads(released: Path) -> None:
    """A release tells its threshold, its signatures, its files and its golden answers."""
    release = Release(released)
    assert release.threshold is not None
    assert 0 < release.threshold < 100
    assert set(release.signatures) == {"serving_default", "infer", "reconstruct"}
    assert release.tflite.stat().st_size > 1_000_000
    expected = release.expected()
    assert set(expected) == {"class_ids", "probabilities", "logits", "score", "in_distribution"}
    np.testing.assert_array_equal(expected["in_distribution"], expected["score"] <= release.threshold)
    assert set(release.expected("infer")) == {"reconstructed"}


def test_verify(copy: Path) -> None:
    """An unchanged release verifies, also with a file beside those of the manifest."""
    Release(copy).verify()
    (copy / "record.json").write_text("{}")
    Release(copy).verify()


def test_altered_file(copy: Path) -> None:
    """One changed byte is found, and the file named."""
    path = copy / "assets.extra/model.tflite"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(WrongInput, match=r"3/assets\.extra/model\.tflite is not as it was exported"):
        Release(copy).verify()


def test_missing_file(copy: Path) -> None:
    """A missing file is found, and named."""
    (copy / "saved_model.pb").unlink()
    with pytest.raises(WrongInput, match=r"3/saved_model\.pb is missing"):
        Release(copy).verify()


def test_verify_some(copy: Path) -> None:
    """Only the files asked for are read; one that the manifest does not know is an error."""
    (copy / "saved_model.pb").unlink()
    Release(copy).verify(["assets.extra/model.tflite", "assets.extra/golden.npz"])
    with pytest.raises(WrongInput, match=r"weights\.npz is not in the manifest"):
        Release(copy).verify(["weights.npz"])


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is said to be so."""
    with pytest.raises(WrongInput, match=r"9 is not a release: there is no such folder"):
        Release(tmp_path / "9")


def test_no_manifest(tmp_path: Path) -> None:
    """A folder without a manifest is no release."""
    with pytest.raises(WrongInput, match=r"is not a release: it has no assets\.extra/manifest\.json"):
        Release(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"threshold": 1', "is damaged"),
        ("[]", "it has no 'signatures'"),
        ('{"threshold": 1.0, "signatures": {}}', "it has no 'digests'"),
        ('{"threshold": null, "signatures": {}, "digests": null}', "it has no 'digests'"),
        ('{"threshold": "1", "signatures": {}, "digests": {}}', "'threshold' is no number"),
    ],
)
def test_damaged_manifest(copy: Path, content: str, message: str) -> None:
    """A manifest that is cut off or of something else is an error that names it."""
    (copy / "assets.extra/manifest.json").write_text(content)
    with pytest.raises(WrongInput, match=message) as raised:
        Release(copy)
    assert "3/assets.extra/manifest.json" in str(raised.value)


def test_damaged_golden(copy: Path) -> None:
    """Golden answers that cannot be read are an error that names the file."""
    (copy / "assets.extra/golden.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(WrongInput, match=r"golden\.npz cannot be read"):
        _ = Release(copy).golden


def test_light() -> None:
    """Reader, contract and parity import neither TensorFlow nor LiteRT nor Prefect: the server uses them."""
    code = (
        "import sys, tasks.release.contract, tasks.release.parity, tasks.release.reader\n"
        "print({'tensorflow', 'ai_edge_litert', 'prefect'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_manifest_says_its_schema(copy: Path) -> None:
    """A release is of this version's schema; one without a number is of before, and is read too."""
    path = copy / "assets.extra/manifest.json"
    manifest = json.loads(path.read_bytes())
    assert manifest.pop("schema") == SCHEMA
    path.write_text(json.dumps(manifest))
    Release(copy).verify()


def test_a_release_of_a_newer_version(copy: Path) -> None:
    """It is not guessed at: the line says what to do."""
    path = copy / "assets.extra/manifest.json"
    path.write_text(json.dumps({"schema": SCHEMA + 1, "everything": "else"}))
    with pytest.raises(Newer, match=r"manifest\.json was written by a newer Slipway .*: upgrade"):
        Release(copy)
