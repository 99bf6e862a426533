"""An outlier set that cannot be had: the delivery goes on with the next one."""

from __future__ import annotations

import json

import pytest

from settings.errors import Surroundings
from tasks.datasets.errors import Unreachable


@pytest.fixture
def silent(quick, monkeypatch):
    """A function after whose call a set's only source does not answer; gives the list of the attempts.

    `transient` says that it may answer later.
    """

    def make(lost: str, *, transient: bool = True) -> list[str]:
        from tasks import fetch

        attempts: list[str] = []
        real = quick.work.fetch

        def fail(name, folder, **how):
            if name != lost:
                return real(name, folder, **how)
            attempts.append(name)
            raise Unreachable(f"{name}: no source answers within 3 s", transient=transient)

        monkeypatch.setattr("tasks.making.dataset.fetch", fail)
        monkeypatch.setattr(
            fetch, "fetch_dataset", fetch.fetch_dataset.with_options(retry_delay_seconds=[0, 0])
        )
        return attempts

    return make


def test_an_outlier_set_that_stays_silent_is_left_out(quick, silent):
    """After its retries another set is the primary one, and the next delivery does not ask again at once."""
    attempts = silent("fashion-mnist")
    outliers = {"outliers": ["fashion-mnist", "glyphs"]}
    assert "judge" in quick.deliver(data=outliers)
    assert attempts == ["fashion-mnist"] * 3
    assert quick.deliver(data=outliers) == set()
    assert len(attempts) == 3


def test_an_outlier_set_that_fails_for_good_is_asked_for_once(quick, silent):
    """No retry can help where no source has the set: the delivery goes on with another one at once."""
    attempts = silent("fashion-mnist", transient=False)
    assert "judge" in quick.deliver(data={"outliers": ["fashion-mnist", "glyphs"]})
    assert attempts == ["fashion-mnist"]


def test_the_receipt_says_which_set_was_wanted(quick, silent):
    """Where another set is the primary one, the receipt names both, and the history has what it measured."""
    silent("fashion-mnist", transient=False)
    quick.deliver(data={"outliers": ["fashion-mnist", "glyphs"]})
    receipts = (quick.models / "receipts" / "mnist").glob("*/receipt.json")
    newest = max(receipts, key=lambda path: path.stat().st_mtime_ns)
    primary = json.loads(newest.read_bytes())["primary"]
    assert primary == {"set": "glyphs", "wanted": "fashion-mnist", "made": False}


def test_a_primary_set_that_is_required_ends_the_delivery(quick, silent):
    """Nothing is trained or judged on another one, however lately it was asked for; with it, all goes on."""
    attempts = silent("fashion-mnist", transient=False)
    data = {"outliers": ["fashion-mnist", "glyphs"]}
    new = {"classifier": {"steps": 7}}
    quick.deliver(data=data)
    assert attempts == ["fashion-mnist"]
    told = "fashion-mnist: no source answers.*; without fashion-mnist nothing is judged.*data.require_primary"
    trained = set(quick.models.joinpath("store").glob("*classifier*"))
    with pytest.raises(Surroundings, match=told):
        quick.deliver(data=data | {"require_primary": True}, **new)
    assert attempts == ["fashion-mnist"] * 2
    assert set(quick.models.joinpath("store").glob("*classifier*")) == trained
    assert "judge" in quick.deliver(data={"require_primary": True}, **new)


@pytest.mark.parametrize(("transient", "expected"), [(True, 3), (False, 1)])
def test_a_training_set_that_stays_silent_ends_the_delivery(quick, silent, transient, expected):
    """What is trained on is needed: its error is the delivery's, after retries where they can help."""
    attempts = silent("fashion-mnist", transient=transient)
    with pytest.raises(Surroundings, match="fashion-mnist: no source answers"):
        quick.deliver(data={"train": "fashion-mnist"})
    assert len(attempts) == expected
