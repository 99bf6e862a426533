"""The rollback: which version it leads to, and what its script says."""

from __future__ import annotations

import pytest

from settings.errors import WrongInput
from tasks.release.registry import Registry
from tasks.rollback import check_served, version_before
from tests.flows.conftest import ROOT

ROLLBACK = str(ROOT / "flows" / "rollback.py")


@pytest.fixture
def registry(tmp_path):
    """A model whose versions 1, 2 and 3 were promoted, one after the other."""
    made = Registry("mnist", tmp_path / "mnist", tmp_path / "candidates", tmp_path / "receipts")
    for version in (1, 2, 3):
        (made.releases / str(version)).mkdir(parents=True)
        made.history.append("promoted", version, f"digest {version}", "test")
    return made


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (3, 2),
        (4, 3),  # promoted by a run that was killed before it wrote its line
        (2, 1),  # put back by a rollback that was killed so: version 3, which it left, does not come back
    ],
)
def test_the_version_before_the_one_that_is_served(registry, present, expected):
    """What production serves decides, also where the history does not know of it yet."""
    assert version_before(registry, present) == expected


def test_there_is_nothing_before_the_first_version(registry):
    """The first version has none before it."""
    with pytest.raises(WrongInput, match="there is no earlier version of mnist"):
        version_before(registry, 1)


def test_what_was_removed_by_hand_is_stepped_over(registry, caplog):
    """The warning names it, and the way leads to the version before it, if there is one."""
    (registry.releases / "2").rmdir()
    assert version_before(registry, 3) == 1
    assert caplog.messages == [
        "version 2, which was in production before, was removed: it is stepped over",
    ]
    (registry.releases / "1").rmdir()
    with pytest.raises(WrongInput, match=r"no earlier version of mnist .* \(removed by hand: 2, 1\)$"):
        version_before(registry, 3)


def test_without_an_earlier_version_those_that_can_be_named_are(registry):
    """A version that was taken back is no earlier one, and --to can name it."""
    registry.history.append("rolled back", 1, "digest 1", "test", left=3)
    with pytest.raises(WrongInput, match=r"no earlier version of mnist .*; --to can name 2 or 3$"):
        version_before(registry, 1)


@pytest.mark.parametrize(("version", "present"), [(2, 3), (4, 4)])
def test_the_history_tells_what_may_be_gone_back_to(registry, version, present):
    """What was in production, wherever it stands now, and what is served though no line says so."""
    (registry.releases / "2").rmdir()
    (registry.candidates / "2").mkdir(parents=True)
    (registry.releases / "4").mkdir()
    check_served(registry, version, present)


def test_a_leftover_is_not_gone_back_to(registry):
    """A version that stands among the releases, where a killed run left it, was never in production."""
    (registry.releases / "4").mkdir()
    with pytest.raises(WrongInput, match="version 4 was never promoted"):
        check_served(registry, 4, 3)


def test_the_script(delivered):
    """It goes one version back, or to the named one, says where that answers, and changes nothing twice."""
    delivered.deliver(classifier={"steps": 201})
    for options, version, verb in (
        ((), 1, "is"),
        (("--to", "2", "--why", "a test"), 2, "is"),
        (("--to", "2"), 2, "was already"),
    ):
        last = delivered.run(ROLLBACK, *options).done().splitlines()[-1]
        assert last == f"version {version} of mnist {verb} in production at {delivered.production}"
        assert delivered.served_version() == version
    assert delivered.events()[-3:] == [("promoted", 2), ("rolled back", 1), ("rolled back", 2)]
    assert "a test" in delivered.run("-m", "flows", "history").done().splitlines()[-1]
