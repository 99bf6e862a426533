"""Which version a candidate is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from settings.model import Description
from tasks.channels.backend import Endpoint, Serving
from tasks.judge import champion_of, rivals_of
from tasks.models.builtin import BUILT_IN
from tasks.promote import refusal
from tasks.release.contract import MANIFEST, describe
from tasks.release.promise import promised
from tasks.release.registry import Registry
from tasks.workplace import Workplace


@dataclass
class Production:
    """Stands in for a backend whose production serves a version; 0: none."""

    version: int

    def current(self, channel):
        """Give what production serves."""
        return Serving(self.version, True, Endpoint("", "mnist"), "") if self.version else None

    def kept(self, channel):
        """Give nothing: it was not stopped."""


@pytest.fixture
def place(tmp_path):
    """Give the workplace whose production serves a version; its history is that of 1, 2 and 3, promoted."""
    registry = Registry("mnist", tmp_path / "mnist", tmp_path / "candidates", tmp_path / "receipts")
    for version in (1, 2, 3, 4):
        (registry.candidates / str(version)).mkdir(parents=True)
        registry.history.append("exported", version, f"digest {version}", "test")
    for version in (1, 2, 3):
        champion = version - 1 or None
        registry.history.append("promoted", version, f"digest {version}", "test", champion=champion)

    def make(serving: int) -> Workplace:
        backend = Production(serving)
        return Workplace(store=None, registry=registry, backend=backend, runner="local", local_folders=())

    return make


@pytest.mark.parametrize(
    ("version", "serving", "champion"),
    [
        (4, 3, 3),
        (4, 0, 3),  # production is down: the history tells
        (4, 2, 2),  # somebody put it back by hand, and the history does not know of it
        (3, 3, 2),  # an unchanged delivery: as when it was promoted
        (1, 1, None),
        (4, 4, 3),  # a run was killed between its rollout and its line
    ],
)
def test_the_champion_is_what_production_serves(place, version, serving, champion):
    """And its digest is that of its release."""
    expected = (champion, f"digest {champion}") if champion else (None, None)
    assert champion_of(place(serving), version) == expected


def test_before_the_first_promotion_there_is_none(place):
    """Nothing is served, and the history has no promotion."""
    empty = place(0)
    empty.registry.history.path.unlink()
    assert champion_of(empty, 1) == (None, None)


@pytest.mark.parametrize(
    ("version", "serving", "removed", "champion"),
    [
        (3, 3, (2,), 1),  # an unchanged delivery
        (4, 3, (3,), 2),  # what production serves from memory
        (3, 3, (1, 2), None),
    ],
)
def test_a_version_removed_by_hand_is_stepped_over(place, caplog, version, serving, removed, champion):
    """The one that was in production before it is asked instead, and the log says so."""
    here = place(serving)
    for each in removed:
        (here.registry.candidates / str(each)).rmdir()
    expected = (champion, f"digest {champion}") if champion else (None, None)
    assert champion_of(here, version) == expected
    named = [f"version {each}, which version {version} would be compared with" for each in removed[::-1]]
    assert [told.partition(", was removed")[0] for told in caplog.messages] == named


def test_a_refusal_says_whether_the_version_is_in_production(place):
    """The channel tells, not the history: version 3 was put back to 2 by hand."""
    assert refusal(place(3), 3, "why") == "version 3 fails its gates and stays in production: why"
    assert refusal(place(2), 3, "why") == "version 3 is not promoted: why"


@pytest.mark.parametrize(
    ("shape", "classes", "compared"),
    [
        ((28, 28), "0123456789", True),
        ((28, 28), "abcdefghij", False),
        ((28, 28), "012345678", False),
        ((32, 32, 3), "0123456789", False),
    ],
)
def test_a_version_of_another_contract_is_no_champion(place, tmp_path, shape, classes, compared):
    """One that was taken out of service for other rows or classes cannot be asked about them."""
    here = place(0)
    served = promised(BUILT_IN, Description(shape=(28, 28), classes=tuple("0123456789")))
    manifest = tmp_path / "candidates" / "3" / MANIFEST
    manifest.parent.mkdir()
    described = {"threshold": 1.0, "digests": {}, "signatures": describe(served)}
    manifest.write_text(json.dumps(described | {"classes": list("0123456789")}))
    signatures = promised(BUILT_IN, Description(shape=shape, classes=tuple(classes)))
    found = rivals_of(here, 4, {"accuracy": "these rows"}, signatures, tuple(classes))
    assert [rival.version for rival in found] == ([3] if compared else [])
