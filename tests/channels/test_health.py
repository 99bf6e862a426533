"""What a server says against its document, and when it is believed."""

from __future__ import annotations

import pytest

from tasks.channels.health import DOUBT_SECONDS, Refusals, has_reconciled

WELL = {"error": "", "settled": True, "revision": "a"}
FINAL = {"error": "it is damaged", "settled": True, "revision": "a"}
PASSING = {"error": "it is not there", "settled": False, "revision": "a"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time.monotonic gives."""
    now = [100.0]
    monkeypatch.setattr("tasks.channels.health.time.monotonic", lambda: now[0])
    return now


def test_a_final_refusal_is_believed_at_once():
    """A damaged release does not mend itself."""
    assert Refusals().believed(FINAL) == "it is damaged"
    assert Refusals().believed(WELL) == ""


def test_a_refusal_that_may_pass_is_believed_where_it_stays(clock):
    """It is given some seconds, anew whenever it has passed."""
    refusals = Refusals()
    assert refusals.believed(PASSING) == ""
    clock[0] += DOUBT_SECONDS - 0.1
    assert refusals.believed(PASSING) == ""
    assert refusals.believed(WELL) == ""
    clock[0] += 1.0
    assert refusals.believed(PASSING) == ""
    clock[0] += DOUBT_SECONDS
    assert refusals.believed(PASSING) == "it is not there"


def test_a_document_is_obeyed_when_the_server_is_done_with_it():
    """Refused for good counts; one that is still tried, or another revision, does not."""
    assert has_reconciled(WELL, "a")
    assert has_reconciled(FINAL, "a")
    assert not has_reconciled(PASSING, "a")
    assert not has_reconciled(WELL, "b")
