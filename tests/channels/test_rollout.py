"""A rollout that fails leaves production as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Surroundings
from tasks.channels import rollout
from tasks.channels.backend import Channel, Endpoint, Serving, unconditional
from tasks.release.document import Wanted
from tasks.release.registry import Registry

ENDPOINT = Endpoint("http://127.0.0.1:1", "mnist")


@dataclass
class Production:
    """Stands in for a backend: serves what it is told to, or fails at the versions in `broken`."""

    wanted: Wanted | None = None
    served: int | None = None  # where it is not what is wanted
    broken: set[int] = field(default_factory=set)

    def put(self, channel: Channel, wanted: Wanted, **how: Any) -> Endpoint:
        """Serve it."""
        how.get("claim", unconditional)()
        if wanted.version in self.broken:
            raise Surroundings(f"version {wanted.version} is broken")
        self.wanted, self.served = wanted, None
        return ENDPOINT

    def document(self, channel: Channel) -> Wanted | None:
        """Give what is wanted."""
        return self.wanted

    def current(self, channel: Channel) -> Serving | None:
        """Give what is served."""
        if self.wanted is None:
            return None
        served = self.wanted.version if self.served is None else self.served
        return Serving(served, served == self.wanted.version, ENDPOINT, "", self.wanted)

    def kept(self, channel: Channel) -> Wanted | None:
        """Give nothing: nobody stops it."""
        return None

    def remove(self, channel: Channel, **how: Any) -> None:
        """Serve nothing."""
        how.get("claim", unconditional)()
        self.wanted = None


class Whole:
    """Stands in for a release: none of its files is altered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def verify(self) -> None:
        """Find nothing wrong."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1 is promoted, version 2 a candidate."""
    made = Registry("mnist", tmp_path / "mnist", tmp_path / "candidates", tmp_path / "receipts")
    (made.releases / "1").mkdir(parents=True)
    (made.candidates / "2").mkdir(parents=True)
    return made


@pytest.fixture
def roll_out(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Production, Wanted], tuple[Endpoint, bool]]:
    """Roll out to a production whose every answer fails the probe."""

    def failing(*given: Any, **how: Any) -> None:
        raise Surroundings("it answers otherwise")

    monkeypatch.setattr(rollout, "probe", failing)
    monkeypatch.setattr(rollout, "Release", Whole)

    def run(production: Production, wanted: Wanted) -> tuple[Endpoint, bool]:
        return rollout.roll_out(
            production,
            registry,
            wanted,
            rtol=1e-4,
            should_stop=lambda: False,
        )

    return run


@pytest.mark.parametrize("wanted", [Wanted(2), Wanted(1, runtime="tensorflow"), Wanted(1, max_images=64)])
def test_what_was_wanted_before_is_wanted_again(roll_out, registry, wanted):
    """A failed probe brings back version, runtime and limits, and the candidate is one again."""
    production = Production(Wanted(1))
    with pytest.raises(Surroundings, match="it answers otherwise"):
        roll_out(production, wanted)
    assert production.wanted == Wanted(1)
    assert registry.is_promoted(1)
    assert not registry.is_promoted(2)


def test_nothing_is_served_where_nothing_was(roll_out, registry):
    """A failed first rollout ends with an empty production."""
    production = Production()
    with pytest.raises(Surroundings, match="it answers otherwise"):
        roll_out(production, Wanted(2))
    assert production.wanted is None
    assert not registry.is_promoted(2)


def test_a_failed_way_back_hides_neither_the_reason_nor_the_candidate(roll_out, registry):
    """The first error is the one that is raised, and the candidate does not stay among the releases."""
    production = Production(Wanted(1), broken={1})
    with pytest.raises(Surroundings, match="it answers otherwise"):
        roll_out(production, Wanted(2))
    assert not registry.is_promoted(2)


def bring_back(production: Production) -> None:
    rollout.bring_back(production, should_stop=lambda: False)


def test_a_production_that_crashed_is_brought_back():
    """What the document wants is served again."""
    production = Production(Wanted(1), served=0)
    bring_back(production)
    assert production.current("production").healthy


@pytest.mark.parametrize("production", [Production(), Production(Wanted(2), served=1)], ids=["none", "older"])
def test_a_production_that_serves_or_is_not_meant_to_is_left_alone(production, monkeypatch):
    """Nothing is put where nothing is wanted, or something is served."""
    monkeypatch.setattr(Production, "put", lambda *given, **how: pytest.fail("it was put"))
    bring_back(production)


def test_a_production_that_does_not_come_back_is_a_warning(caplog):
    """The run that looked after it goes on."""
    bring_back(Production(Wanted(1), served=0, broken={1}))
    (told,) = caplog.messages
    assert told == "production serves nothing, and version 1 does not come up: version 1 is broken"


def test_the_document_names_the_way_back(roll_out, registry, monkeypatch):
    """What production served before is what its server falls back on; the first version has none."""
    monkeypatch.setattr(rollout, "probe", lambda *given, **how: None)
    production = Production()
    registry.history.append("promoted", 1, "d", "test")
    roll_out(production, Wanted(1))
    assert production.wanted.previous == 0
    roll_out(production, Wanted(2))
    assert production.wanted.previous == 1
