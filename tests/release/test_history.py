"""The history of a model."""

from __future__ import annotations

import json
import os
import pwd
import socket
import threading

import pytest

from tasks.release.history import History, account
from tasks.store import lock
from tasks.store.schema import SCHEMA, Newer


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


def test_the_account_is_that_of_the_process(monkeypatch):
    """Variables of the environment, which anybody can set, do not decide who did it."""
    expected = f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}"
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody")
    assert account() == expected
    monkeypatch.setattr(os, "geteuid", lambda: 4_200_000)  # as in a container, without a name
    assert account() == f"4200000@{socket.gethostname()}"


def test_a_named_actor_is_written_down(history):
    """Who appends for somebody says for whom."""
    named = History(history.path, "flow run 7")
    assert named.append("promoted", 1, "d", "passed").who == "flow run 7"


def test_a_rollback_takes_back_what_it_left(history):
    """What was served, and what was promoted after the version that it went back to; not what was before."""
    promote(history, 1, 2, 3)
    history.append("rolled back", 1, "digest 1", "at night", left=3)
    assert {digest: event.why for digest, event in history.taken_back().items()} == {
        "digest 2": "at night",
        "digest 3": "at night",
    }
    promote(history, 4)
    assert history.taken_back().keys() == {"digest 2", "digest 3"}


@pytest.mark.parametrize("event", ["promoted", "rolled back"])
def test_what_returns_to_production_is_not_taken_back_any_more(history, event):
    """A forced promotion and a rollback to it are decisions too, and the later one counts."""
    promote(history, 1, 2)
    history.append("rolled back", 1, "digest 1", "test", left=2)
    history.append(event, 2, "digest 2", "test", left=1 if event == "rolled back" else None)
    assert "digest 2" not in history.taken_back()


def test_a_release_is_taken_back_under_every_number(history):
    """A release that got a new version, since its folder was removed or altered, is the same release."""
    promote(history, 1, 2)
    history.append("rolled back", 1, "digest 1", "test", left=2)
    history.append("exported", 3, "digest 2", "a new release")
    assert history.taken_back().keys() == {"digest 2"}
    history.append("promoted", 3, "digest 2", "forced", forced=True)
    assert history.taken_back() == {}


def test_a_version_without_a_line_is_taken_back_too(history):
    """A run that was killed after its rollout left no line, but the rollback says what it left."""
    promote(history, 1)
    history.append("exported", 2, "digest 2", "a new release")
    history.append("rolled back", 1, "digest 1", "test", left=2)
    assert history.taken_back().keys() == {"digest 2"}


def test_rollbacks_that_do_not_say_what_they_left(history):
    """As earlier versions of this project wrote them: the last promoted one was served."""
    promote(history, 1, 2)
    line = history.append("rolled back", 1, "digest 1", "test").model_dump_json(exclude={"left"})
    history.path.write_text("\n".join([*history.path.read_text().splitlines()[:-1], line, ""]))
    assert history.taken_back().keys() == {"digest 2"}
    assert history.served() == [1]


def test_every_line_is_written_under_the_lock_of_the_model(history, monkeypatch):
    """Another writer waits; the one who holds it already goes on."""
    waits = threading.Event()
    monkeypatch.setattr(lock.logger, "warning", lambda *told: waits.set())
    writer = threading.Thread(target=history.append, args=("promoted", 2, "d", "test"))
    with lock.model_lock(history.path.parent):
        writer.start()
        assert waits.wait(30)
        history.append("promoted", 1, "d", "test")
    writer.join(30)
    assert [event.version for event in history.events()] == [1, 2]


def test_each_line_says_its_schema(history):
    """A reader of later times knows what it has before it; a line without a schema is one of before."""
    promote(history, 1)
    (line,) = history.path.read_text().splitlines()
    assert json.loads(line)["schema"] == SCHEMA
    old = {name: value for name, value in json.loads(line).items() if name != "schema"}
    history.path.write_text(json.dumps(old) + "\n")
    assert history.served() == [1]


def test_a_line_of_a_newer_version_is_not_stepped_over(history):
    """What a newer version has written down may be a promotion: to go on without it would be wrong."""
    promote(history, 1)
    with history.path.open("a") as file:
        file.write(json.dumps({"schema": SCHEMA + 1, "event": "promoted in a new way", "version": 2}) + "\n")
    with pytest.raises(Newer, match=r"history\.jsonl was written by a newer Slipway .*: upgrade"):
        history.events()


def test_a_promotion_after_a_way_back_by_hand(history):
    """What came after the version that a promotion left was taken back: no rollback leads there."""
    for version, left in ((1, None), (2, 1), (3, 2), (4, 2)):
        history.append("promoted", version, f"digest {version}", "all gates", left=left)
    assert history.served() == [1, 2, 4]
    assert history.taken_back().keys() == {"digest 3"}
