"""The delivery, in one process, on a small subset, through real servers."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version

import httpx
import pytest

from settings.errors import GateFailed, Overruled, WrongInput
from tasks.models.hardware import products
from tasks.release.contract import MANIFEST
from tasks.store.artifacts import read_record


def test_first_delivery(place):
    """The first delivery ends with version 1 in production, its receipt and page, and an empty stage.

    The manifest of the version tells the dataset, the settings, the packages and the code that it came of.
    """
    done = place.deliver()
    assert (done.version, place.served_version()) == (1, 1)
    assert place.events() == [("exported", 1), ("staged", 1), ("judged", 1), ("promoted", 1)]
    receipt = json.loads((done.receipt / "receipt.json").read_text())
    assert receipt["outcome"] == "promoted"
    assert receipt["compared"] == []
    states = {gate["name"]: gate["state"] for gate in receipt["gates"]}
    assert states.pop("champion") == "not applicable"
    assert states.pop("latency") == "off"
    assert set(states.values()) == {"passed"}
    assert receipt["counts"] == {"passed": 8, "failed": 0, "off": 1, "not applicable": 1}
    assert [each["name"] for each in receipt["datasets"]] == ["mnist", "fashion-mnist", "blank"]
    manifest = json.loads((place.models / "mnist" / "1" / MANIFEST).read_bytes())
    assert manifest["dataset"] == {
        "name": "mnist",
        "digest": receipt["datasets"][0]["digest"],
        "quarantined": [],
    }
    assert manifest["settings"].items() >= {"classifier.steps": "200", "data.held_out": "500"}.items()
    precision = {"classifier": products(), "concept": products()}
    assert (manifest["precision"], receipt["precision"]) == (precision, precision)
    assert manifest["packages"].keys() == {"python", "tensorflow", "numpy"}
    assert manifest["packages"]["tensorflow"] == version("tensorflow")
    assert re.fullmatch("[0-9a-f]{64}", manifest["code"])
    assert "<html" in (done.receipt / "report.html").read_text()
    answer = httpx.post(
        f"{place.production}/v1/models/mnist:predict", content=(done.receipt / "request.json").read_bytes()
    ).json()
    assert answer["predictions"][0]["class_ids"] in range(10)
    assert not list(place.models.rglob(".aside-*")), "nothing half-written stays"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{place.environ['STAGE_PORT']}/health/live")


def test_second_delivery_changes_nothing(delivered):
    """A delivery in which nothing changed computes nothing, makes no version, and probes production."""
    before = delivered.events()
    done = delivered.deliver()
    assert delivered.ran == []
    assert done.version == 1
    assert delivered.events() == before


def test_another_classifier_trains_only_the_classifier(delivered):
    """A classifier setting leaves the concept and the data as they are, and makes version 2."""
    delivered.deliver(classifier={"steps": 203})
    assert delivered.ran == ["train-classifier", "export", "stage", "judge", "promote", "report"]
    assert delivered.served_version() == 2


def test_a_release_that_is_scored_again_has_the_same_scores(delivered):
    """Nothing of the machine and of the moment is in them; the verdict has the latency, which differs."""
    kept = delivered.models / "store" / "scores"

    def digests():
        return {folder.name: read_record(folder).digest for folder in kept.iterdir()}

    before = digests()
    assert len(before) == 1
    shutil.rmtree(kept)
    shutil.rmtree(kept.with_name("verdict"))
    delivered.deliver()
    assert delivered.ran == ["stage", "judge", "report"]
    assert digests() == before


def test_failed_gate_leaves_production(delivered):
    """A failed gate names itself, measured and required; production and its version stay."""
    with pytest.raises(GateFailed, match=r"accuracy: measured 0\.\d+, required ≥ 0\.9999") as failed:
        delivered.deliver(judging={"min_accuracy": 0.9999}, classifier={"steps": 150})
    assert delivered.served_version() == 1
    assert (delivered.models / "candidates" / "mnist" / "2").is_dir()
    assert not (delivered.models / "mnist" / "2").exists()
    receipt = json.loads((failed.value.outcome.receipt / "receipt.json").read_text())
    assert receipt["outcome"] == "refused"
    assert ("promoted", 2) not in delivered.events()


def test_forced_promotion_is_written_down(delivered):
    """--force promotes in spite of a failed gate, and history and receipt say who did it.

    Delivered again without --force, the version fails as before, and is said to stay where it is.
    """
    done = delivered.deliver(judging={"min_accuracy": 0.9999}, classifier={"steps": 150}, force=True)
    assert delivered.served_version() == 2
    receipt = json.loads((done.receipt / "receipt.json").read_text())
    assert receipt["outcome"] == "forced"
    assert "@" in receipt["forced_by"]
    last = (delivered.models / "mnist" / "history.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["forced"] is True
    told = "version 2 fails its gates and stays in production, into which it was forced: accuracy: measured "
    with pytest.raises(GateFailed, match=told):
        delivered.deliver(judging={"min_accuracy": 0.9999}, classifier={"steps": 150})
    assert delivered.served_version() == 2


def test_a_gate_that_is_raised_leaves_what_is_in_production(delivered):
    """The version in production that fails a new gate is said to stay there, forced by nobody."""
    told = "version 1 fails its gates and stays in production: accuracy: measured "
    with pytest.raises(GateFailed, match=told):
        delivered.deliver(judging={"min_accuracy": 0.9999})
    assert delivered.served_version() == 1


def test_a_rollback_stays(delivered):
    """A version that was taken back is not promoted again by a delivery, and the run says by whom and why.

    What the rollback put there stays, also for its own unchanged delivery, which changes nothing.
    """
    delivered.deliver(classifier={"steps": 201})
    assert delivered.rollback(why="wrong at night").version == 1
    assert delivered.served_version() == 1
    with pytest.raises(WrongInput, match=r"no earlier version of mnist .*--to can name 2"):
        delivered.rollback()
    events = delivered.events()
    told = r"version 2 is not promoted again: \S+@\S+ took it back at \S+: wrong at night; .* version 1; "
    with pytest.raises(Overruled, match=told) as refused:
        delivered.deliver(classifier={"steps": 201})
    assert (delivered.served_version(), refused.value.exit_code) == (1, 1)
    receipt = json.loads((refused.value.outcome.receipt / "receipt.json").read_text())
    assert (receipt["outcome"], receipt["passed"]) == ("taken back", True)
    delivered.deliver()
    assert delivered.ran == []
    assert delivered.events() == events


def test_a_new_version_goes_through_after_a_rollback(delivered):
    """What was taken back is one version, and it stays so when another one is in production."""
    delivered.deliver(classifier={"steps": 201})
    delivered.rollback()
    delivered.deliver(classifier={"steps": 202})
    assert delivered.served_version() == 3
    with pytest.raises(Overruled, match="version 2 is not promoted again"):
        delivered.deliver(classifier={"steps": 201})
    assert delivered.served_version() == 3


def test_what_was_taken_back_returns_by_force_or_by_a_rollback(delivered):
    """--force promotes it again, with its reason in the history; a rollback to it lifts the decision."""
    delivered.deliver(classifier={"steps": 201})
    delivered.rollback()
    delivered.deliver(classifier={"steps": 201}, force=True, why="it was the network")
    assert delivered.served_version() == 2
    last = json.loads((delivered.models / "mnist" / "history.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["version"], last["forced"]) == ("promoted", 2, True)
    assert last["why"].endswith("; it was the network")
    delivered.rollback()
    assert delivered.rollback(to=2).version == 2
    delivered.deliver(classifier={"steps": 201})
    assert (delivered.ran, delivered.served_version()) == ([], 2)


def test_a_version_that_was_left_by_hand_was_taken_back(delivered):
    """Where the history knows nothing of the way back, as after a rollback that was killed, it stands too."""
    delivered.deliver(classifier={"steps": 201})
    history = delivered.models / "mnist" / "history.jsonl"
    before = history.read_bytes()
    delivered.rollback()
    history.write_bytes(before)
    with pytest.raises(Overruled, match="production was brought back to version 1 by hand"):
        delivered.deliver(classifier={"steps": 201})
    assert delivered.served_version() == 1


def test_versions_removed_by_hand_are_stepped_over(delivered):
    """The unchanged delivery ends well without its champion, and a rollback leads past what is gone."""
    delivered.deliver(classifier={"steps": 201})
    delivered.deliver(classifier={"steps": 202})
    shutil.rmtree(delivered.models / "mnist" / "2")
    delivered.deliver(classifier={"steps": 202})
    assert delivered.served_version() == 3
    assert delivered.events()[-1] == ("judged", 3), "judged against another champion, and not promoted anew"
    assert delivered.rollback().version == 1
    assert delivered.served_version() == 1


def test_rollback_from_a_version_without_a_line(delivered):
    """A delivery killed after its rollout left no line: the way back leads to the version before."""
    delivered.deliver(classifier={"steps": 201})
    history = delivered.models / "mnist" / "history.jsonl"
    *lines, last = history.read_text().splitlines(keepends=True)
    assert json.loads(last)["event"] == "promoted"
    history.write_text("".join(lines))
    assert delivered.rollback().version == 1
    assert delivered.served_version() == 1
    last = json.loads(history.read_text().splitlines()[-1])
    assert (last["event"], last["version"], last["why"]) == ("rolled back", 1, "went back from version 2")
    with pytest.raises(WrongInput, match="no earlier version"):
        delivered.rollback()


def test_rollback_to_what_was_never_promoted(delivered):
    """A candidate that failed a gate, and a version that is not there, are refused by name."""
    with pytest.raises(GateFailed, match="version 2 is not promoted: accuracy"):
        delivered.deliver(classifier={"steps": 150}, judging={"min_accuracy": 0.999}, until="judged")
    with pytest.raises(WrongInput, match="version 2 was never promoted"):
        delivered.rollback(to=2)
    with pytest.raises(WrongInput, match="no version 9 of mnist; there are: 1, 2"):
        delivered.rollback(to=9)


def test_until(exported):
    """Each --until stops where it says: nothing later happens, and what runs is said."""
    assert exported.deliver(until="exported").version == 1
    assert exported.events() == [("exported", 1)]
    staged = exported.deliver(until="staged")
    assert (
        httpx.get(f"{staged.stage_url}/v1/models/mnist").json()["model_version_status"][0]["version"] == "1"
    )
    exported.deliver(until="judged")
    assert exported.events() == [("exported", 1), ("staged", 1), ("staged", 1), ("judged", 1)]
    assert not (exported.models / "channels" / "mnist" / "production.json").exists()


def test_killed_production_is_mended(delivered):
    """A production server that died is brought up again by an unchanged delivery."""
    delivered.kill_production()
    delivered.deliver()
    assert delivered.served_version() == 1
    assert delivered.ran == ["promote"]


def test_killed_production_is_mended_by_a_run_that_promotes_nothing(delivered):
    """A run that stops before production, and one that fails a gate, bring up what is meant to be there."""
    delivered.kill_production()
    delivered.deliver(until="exported")
    assert delivered.served_version() == 1
    delivered.kill_production()
    with pytest.raises(GateFailed):
        delivered.deliver(judging={"min_accuracy": 0.9999})
    assert delivered.served_version() == 1


def test_altered_release_is_not_served_again(delivered):
    """A release that was altered on the disk is restored from the store, else made under a new version."""
    weights = delivered.models / "mnist" / "1" / "assets.extra" / "model.tflite"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\0")
    delivered.deliver()
    assert delivered.served_version() == 1
    assert weights.read_bytes() == whole
    files = delivered.models.glob("store/release/*/assets.extra/model.tflite")
    (stored,) = [path for path in files if path.read_bytes() == whole]
    for path in (weights, stored):
        path.write_bytes(whole[:-1] + b"\0")
    delivered.deliver()
    assert delivered.served_version() == 2


def test_contradicting_parameters_are_refused_in_the_flow_too(place):
    """What the command line refuses, a run from the UI does not accept either."""
    with pytest.raises(WrongInput, match=r"data\.limit"):
        place.deliver(data={"limit": 400, "held_out": 500})


def test_unknown_dataset_is_refused_before_anything_starts(place):
    """An unknown name of a dataset is answered with those that there are."""
    with pytest.raises(WrongInput, match=r"data\.outliers names 'emnist', not one of mnist, "):
        place.deliver(data={"outliers": ["emnist"]})
    assert place.events() == []
