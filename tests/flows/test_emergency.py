"""A rollback and a stop while a delivery runs: at once, without Prefect, and the delivery gives way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from settings.errors import Overruled
from tests.flows.conftest import ROOT, Place

pytestmark = pytest.mark.slow

DELIVER = str(ROOT / "flows" / "deliver.py")
NO_SERVER = {
    "PREFECT_API_URL": "http://127.0.0.1:9/api"
}  # the port of the discard service, which nobody runs

KILLED = """
import os, signal, sys
from flows.__main__ import main
from tasks.channels.files import ChannelFiles

want = ChannelFiles.want

def killed(files, wanted):
    if files.channel == "production":
        os.kill(os.getpid(), signal.SIGKILL)
    return want(files, wanted)

ChannelFiles.want = killed
sys.exit(main(["deliver", *sys.argv[1:]]))
"""
"""A delivery that is killed between the renaming of its version and production's document."""


@pytest.fixture
def twice(delivered: Place) -> Place:
    """A workplace in which version 2 is in production, and version 1 was before it."""
    delivered.deliver(classifier={"steps": 201})
    return delivered


def answers(place: Place) -> bool:
    """Tell whether production answers."""
    try:
        httpx.get(f"{place.production}/health/live")
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("command", ["rollback", "stop"])
def test_during_a_training(twice, command):
    """The command waits neither for the training nor for Prefect's server; then the delivery ends with 1."""
    twice.write_settings(classifier={"steps": 1_000, "display_steps": 100})
    run = twice.run(DELIVER)
    run.wait_for("classifier: step 300 of")
    os.killpg(run.process.pid, signal.SIGSTOP)  # the training lasts, and its lock is held
    said = twice.run("-m", "flows", command, **NO_SERVER).done()
    assert "Prefect" not in said
    os.killpg(run.process.pid, signal.SIGCONT)
    line = run.refused(1)
    assert "version 3 did not go into production, which was changed meanwhile: " in line
    if command == "rollback":
        assert " brought it back to version 1 at " in line
        assert twice.served_version() == 1
    else:
        assert line.endswith(": it was stopped")
        assert not answers(twice)
    assert ("promoted", 3) not in twice.events()


def test_during_the_judging(twice, monkeypatch):
    """A delivery that an operator overtook ends with 1 and his name, and writes it into the receipt.

    The same delivery promotes its version the next time: it is a new one.
    """
    from tasks.judging.scoring import score_sets

    def meanwhile(*given, **how):
        if twice.served_version() == 2:
            command = [sys.executable, "-m", "flows", "rollback", "--why", "it is night"]
            subprocess.run(command, env=twice.environ | NO_SERVER, cwd=twice.root, check=True)
        return score_sets(*given, **how)

    monkeypatch.setattr("tasks.making.scores.score_sets", meanwhile)
    told = r"version 3 did not go into production, .* brought it back to version 1 at \S+ \(it is night\)"
    with pytest.raises(Overruled, match=told) as ended:
        twice.deliver(classifier={"steps": 202})
    assert ended.value.exit_code == 1
    assert '"outcome": "overtaken"' in (ended.value.outcome.receipt / "receipt.json").read_text()
    assert twice.served_version() == 1
    assert not (twice.models / "mnist" / "3").exists()
    twice.deliver(classifier={"steps": 202})
    assert twice.served_version() == 3


def test_killed_between_the_renaming_and_the_rollout(delivered):
    """The version that was never served is no target of a rollback, and the next run mends what is left."""
    delivered.write_settings(classifier={"steps": 201})
    code, said = delivered.run("-c", KILLED).end()
    assert code == -signal.SIGKILL, said
    releases, candidates = delivered.models / "mnist", delivered.models / "candidates" / "mnist"
    assert (releases / "2").is_dir()
    assert delivered.served_version() == 1
    run = delivered.run("-m", "flows", "rollback", "--to", "2")
    assert "version 2 was never promoted" in run.refused(2)
    assert "version 2 stood among the releases and was never in production" in run.said
    assert [(candidates / "2").is_dir(), (releases / "2").exists()] == [True, False]
    delivered.run(DELIVER).done()
    assert delivered.served_version() == 2
    assert delivered.events()[-1] == ("promoted", 2)


def test_a_delivery_mends_what_a_killed_one_left(delivered):
    """Also one that promotes nothing."""
    delivered.deliver(classifier={"steps": 201}, until="judged")
    releases, candidates = delivered.models / "mnist", delivered.models / "candidates" / "mnist"
    (candidates / "2").rename(releases / "2")
    foreign = releases / "9"
    foreign.mkdir()
    delivered.deliver(until="exported")
    assert [(candidates / "2").is_dir(), (releases / "2").exists(), foreign.exists()] == [True, False, True]


def test_the_account_is_not_that_of_the_environment(delivered):
    """LOGNAME names nobody: the history has the account of the process."""
    from tasks.release.history import account

    delivered.run(str(Path(ROOT) / "flows" / "rollback.py"), "--to", "1", LOGNAME="somebody").done()
    history = delivered.run("-m", "flows", "history", LOGNAME="somebody").done()
    assert "somebody" not in history
    assert account() in history
