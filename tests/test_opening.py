"""Datasets opened by name, beside deliveries."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import pytest

from tasks import opening
from tasks.opening import open_dataset
from tasks.store.lock import holder_of, run_lock

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The models' root of an empty place."""
    for name in ("DATA_ROOT", "MODELS_ROOT"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "MODELS_ROOT"


def deliver(root, pipe) -> None:
    with run_lock(root, what="a delivery"):
        pipe.send("held")
        pipe.poll(None)


def test_a_dataset_is_made_under_both_locks(models, monkeypatch):
    """Whoever comes meanwhile waits, and is told for what; reading takes no lock."""
    seen: list[Any] = []
    make = opening.store_dataset

    def looked_at(*arguments):
        seen.extend(holder_of(root / "lock") for root in (models, models.with_name("DATA_ROOT")))
        return make(*arguments)

    monkeypatch.setattr(opening, "store_dataset", looked_at)
    first = open_dataset("blank")
    assert len(first.images) == 1_000
    of_models, of_data = seen
    assert of_models.startswith("opening blank (pid ")
    assert of_data.startswith("a run that gathers datasets (pid ")
    assert len(open_dataset("blank").images) == 1_000
    assert len(seen) == 2


def test_making_waits_for_a_delivery_and_reading_does_not(models, caplog):
    """Beside a delivery a set that is there opens at once, and another one when the delivery has ended."""
    open_dataset("blank")
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=deliver, args=(models, theirs))
    process.start()
    try:
        assert ours.recv() == "held"
        open_dataset("blank")
        assert "waiting for" not in caplog.text
        timer = threading.Timer(0.3, ours.send, ["go"])
        timer.start()
        open_dataset("noise")
        assert f"waiting for a delivery (pid {process.pid} on " in caplog.text
        timer.join()
    finally:
        process.kill()
        process.join()
