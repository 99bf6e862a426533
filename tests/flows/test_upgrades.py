"""What earlier versions wrote stays of use: each store in stores/ was left by one, and named by its schema.

Such a store is the models' root, as it lay there, of deliveries of a tiny network by a version that wrote
that schema: versions 1 and 2 were promoted, 3 was refused, and production went back from 2 to 1. Schema 0 is
of the version that wrote it first, schema 1 of the last that knew one model and one shape of rows. A store is
never changed; a new schema brings one of the version that wrote it.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from tasks.judging.receipt import read_receipt
from tasks.opening import open_release
from tasks.release.history import History
from tasks.release.reader import Release
from tests.flows.conftest import EXPORTED

STORES = sorted(Path(__file__).with_name("stores").iterdir())


@pytest.fixture(params=STORES, ids=lambda path: path.name.partition(".")[0])
def upgraded(place, request):
    """A workplace with what an earlier version left; no server runs, as after a restart of the machine."""
    with tarfile.open(request.param) as archive:
        archive.extractall(place.models, filter="data")
    return place


def test_it_is_read(upgraded):
    """Its history, its receipts and the document of production say what they said."""
    told = upgraded.run("-m", "flows", "history").done().splitlines()
    assert len(told) == 12
    assert told[0].endswith("ada@workstation  a new release")
    assert told[-1].endswith("ada@workstation  a look at version 1")
    assert History(upgraded.models / "mnist" / "history.jsonl").served() == [1]
    code, said = upgraded.run("-m", "flows", "status").end()
    assert (code, "version 1" in said or "no version of mnist" in said) == (3, True), said
    receipts = upgraded.models / "receipts" / "mnist"
    outcomes = {folder.name: read_receipt(folder)["outcome"] for folder in receipts.iterdir()}
    assert outcomes == {"1-1": "promoted", "2-1": "promoted", "3-1": "refused"}
    assert open_release("mnist").manifest["dataset"]["name"] == "mnist"


def test_its_versions_are_served_and_rolled_back_to(upgraded):
    """Each of them comes into production, also from the document as it lies there, and answers as it did."""
    for version in (1, 2, 1):
        assert upgraded.rollback(to=version).version == version
        release = Release(upgraded.models / "mnist" / str(version))
        answer = httpx.post(
            f"{upgraded.production}/v1/models/mnist:predict",
            json={"inputs": release.golden["imgs"].tolist()},
        )
        assert answer.headers["x-model-version"] == str(version)
        outputs = answer.json()["outputs"]
        np.testing.assert_array_equal(outputs["class_ids"], release.golden["class_ids"])
        np.testing.assert_allclose(outputs["logits"], release.golden["logits"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(outputs["score"], release.golden["score"], rtol=1e-4, atol=1e-5)


def test_its_version_is_the_champion(upgraded, template):
    """A new delivery is held against the version in production, gets the next number, and can be undone."""
    upgraded.take(template, EXPORTED)
    done = upgraded.deliver()
    assert (done.version, upgraded.served_version()) == (4, 4)
    history = History(upgraded.models / "mnist" / "history.jsonl")
    assert history.last("promoted", 4).champion == 1
    assert upgraded.rollback().version == 1
    assert upgraded.served_version() == 1
    said = upgraded.run("-m", "flows", "status").done()
    assert "version 1 of mnist" in said
