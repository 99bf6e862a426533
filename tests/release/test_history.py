"""The history of a model."""

from __future__ import annotations

import pytest

from tasks.release.history import History


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "mnist" / "history.jsonl")


def promote(history: History, *versions: int) -> None:
    for version in versions:
        history.append("promoted", version, f"digest {version}", "test")


def test_events_come_back_in_order(history):
    """What was appended is read back, oldest first, with who did it."""
    history.append("exported", 1, "d", "a new release")
    history.append("promoted", 1, "d", "passed", champion=None, forced=True)
    first, second = history.events()
    assert (first.event, first.version, first.digest, first.why) == ("exported", 1, "d", "a new release")
    assert second.forced
    assert "@" in first.who


def test_a_torn_line_is_no_event_and_harms_no_other(history):
    """A line that a killed writer left half stays alone: the next event is read."""
    promote(history, 1)
    with history.path.open("a") as file:
        file.write('{"event": "promoted", "vers')
    promote(history, 2)
    assert [event.version for event in history.events()] == [1, 2]


def test_rollbacks_lead_further_back(history):
    """A rollback takes the version away that it left, so the next one goes further back."""
    promote(history, 1, 2, 3)
    assert history.served() == [1, 2, 3]
    history.append("rolled back", 2, "d", "test")
    assert history.served() == [1, 2]
    promote(history, 4)
    assert history.served() == [1, 2, 4]
    history.append("rolled back", 1, "d", "test")
    assert history.served() == [1]
    promote(history, 3)
    assert history.served() == [1, 3]


def test_a_version_promoted_again_stands_once(history):
    """A version that returns to production is not its own predecessor."""
    promote(history, 1, 2, 1)
    assert history.served() == [2, 1]


def test_last_gives_the_newest_event_of_a_version(history):
    """Of two promotions of a version, the newer one counts."""
    history.append("promoted", 1, "d", "first", champion=None)
    history.append("promoted", 1, "d", "second", champion=2)
    assert history.last("promoted", 1).champion == 2
    assert history.last("judged", 1) is None
