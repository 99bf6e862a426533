from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped
from settings.hyperparameters import JudgingSettings
from tasks.judging.case import References
from tasks.judging.comparison import Rival
from tasks.judging.latency import Latency
from tasks.judging.pictures import SHOWN
from tasks.judging.verdict import VERDICT, judge, load_verdict

GATES = [
    "finite",
    "leak",
    "accuracy",
    "auroc",
    "trivial-detectors",
    "flagged-share",
    "endpoint-parity",
    "litert-parity",
    "champion",
    "latency",
]


def altered(world: Any, **outputs: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Any:
    """Give the scores of an endpoint whose outputs are replaced."""

    def alter(answered: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return answered | {name: change(answered) for name, change in outputs.items()}

    return world.scores(replace(world.client, alter=alter))


def failed(verdict: Any) -> list[str]:
    """Give the names of the failed gates."""
    return [gate.name for gate in verdict.failed_gates]


def test_a_good_candidate_passes_every_gate(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """The verdict names all gates in the order of the table, and says that they passed."""
    verdict = judge(tmp_path, make_case(), settings)
    assert [gate.name for gate in verdict.gates] == GATES
    assert verdict.passed
    assert verdict.message() == "8 gates passed, 1 off, 1 not applicable"
    assert verdict.content["counts"] == {"passed": 8, "failed": 0, "off": 1, "not applicable": 1}
    assert verdict.content["accuracy"]["value"] == 1.0
    assert verdict.content["compared"] == []


def test_a_candidate_that_no_gate_of_quality_judged_does_not_pass(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """With every bound at zero and none to compare with, nothing says what the model is good for."""
    unbound = {"min_accuracy": 0.0, "min_auroc": 0.0, "trivial_detectors": False}
    verdict = judge(tmp_path, make_case(), settings.model_copy(update=unbound))
    assert (verdict.passed, verdict.content["passed"], verdict.failed_gates) == (False, False, ())
    assert verdict.message() == (
        "no gate of quality judged it (accuracy off, auroc off, trivial-detectors off, "
        "champion not applicable): switch one on, or promote it with --force"
    )
    (tmp_path / "second").mkdir()
    one = settings.model_copy(update=unbound | {"trivial_detectors": True})
    assert judge(tmp_path / "second", make_case(), one).passed


@pytest.mark.parametrize("output", ["score", "logits", "probabilities"])
def test_answers_that_are_not_finite_fail_alone(
    world: Any, make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path, output: str
) -> None:
    """NaN in an answer is one failed gate that counts them by set, and nothing else is measured of it."""

    def spoil(answered: dict[str, np.ndarray]) -> np.ndarray:
        values = answered[output].copy()
        values[:2] = np.nan
        return values

    candidate = world.scores(
        replace(world.client, alter=lambda answered: answered | {output: spoil(answered)})
    )
    verdict = judge(tmp_path, make_case(candidate=candidate), settings)
    (gate,) = verdict.gates
    assert verdict.message() == "finite: measured 20, required 0"  # two of each request of 64
    assert gate.detail == "answers that are not finite: test: 8, letters: 6, blank: 6"
    assert load_verdict(tmp_path) == verdict


def test_the_verdict_is_kept_as_json(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """verdict.json is strict JSON, holds every figure, and is read back as the same verdict."""
    case = make_case(latency=(Latency(1, 200, 1.5, 2.5),), machine="a processor, 2 cores")
    verdict = judge(tmp_path, case, settings)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads((tmp_path / VERDICT).read_text(), parse_constant=refuse)
    assert load_verdict(tmp_path) == verdict
    assert content["sets"]["test"] == {
        "role": "test",
        "images": 200,
        "flagged": verdict.content["sets"]["test"]["flagged"],
    }
    assert content["sets"]["test"]["flagged"]["value"] == 0.01
    assert [facts["role"] for facts in content["sets"].values()] == ["test", "primary outliers", "outliers"]
    assert np.array_equal(content["confusion"], 20 * np.eye(10))
    assert content["classes"][3]["accuracy"]["value"] == 1.0
    for name in ("letters", "blank"):
        assert set(content["detectors"][name]) == {"concept", "max-softmax", "mean-intensity", "pca"}
        concept = content["detectors"][name]["concept"]
        assert concept["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert concept["fpr95"]["value"] == 0.0
    assert content["detectors"]["blank"]["mean-intensity"]["auroc"]["value"] == 0.0
    assert {name: sum(counts) for name, counts in content["histograms"]["counts"].items()} == {
        "test": 200,
        "letters": 150,
        "blank": 150,
    }
    assert content["latency"] == [{"batch": 1, "requests": 200, "median_ms": 1.5, "p99_ms": 2.5}]
    assert content["machine"] == "a processor, 2 cores"


def test_shuffled_labels_fail_the_accuracy(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """The message is one line with gate, measured and required; the surest mistakes are kept."""
    labels = np.roll(world.test_labels, 1)
    verdict = judge(tmp_path, make_case(test_labels=labels), settings)
    assert failed(verdict) == ["accuracy"]
    assert verdict.message() == "accuracy: measured 0, required ≥ 0.98"
    images, facts = np.load(tmp_path / "mistakes.npy"), verdict.content["pictures"]["mistakes"]
    assert len(images) == len(facts) == SHOWN
    probabilities = [fact["probability"] for fact in facts]
    assert probabilities == sorted(probabilities, reverse=True)
    for image, fact in zip(images, facts, strict=True):
        assert np.array_equal(image, world.sets["test"][fact["index"]])
        assert fact["truth"] == labels[fact["index"]] != fact["predicted"]


def test_a_constant_score_fails_auroc_and_trivial_detectors(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """A score that says nothing has AUROC 0.5, and any detector is better."""
    scores = altered(world, score=lambda answered: np.full_like(answered["score"], 0.25))
    references = {name: dict(each) for name, each in scores.sets.items()}
    verdict = judge(
        tmp_path, make_case(candidate=scores, references=References(references, references)), settings
    )
    assert failed(verdict) == ["auroc", "trivial-detectors"]
    assert "auroc: measured 0.5, required ≥ 0.9995" in verdict.message()


def test_a_threshold_of_zero_fails_the_flagged_share(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """Everything is flagged, and that is not what was asked for."""
    scores = world.scores(replace(world.client, threshold=0.0))
    references = {name: dict(each) for name, each in scores.sets.items()}
    verdict = judge(
        tmp_path,
        make_case(candidate=scores, references=References(references, references), threshold=0.0),
        settings,
    )
    assert failed(verdict) == ["flagged-share"]
    assert verdict.message() == "flagged-share: measured 1, required 0.005 to 0.02"


def test_leaked_test_images_fail_the_leak(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """Two of 200 test rows among the training rows are surely too many; the detail counts them."""
    leaked = np.concatenate([world.train_rows, world.sets["test"][:2]])
    verdict = judge(tmp_path, make_case(train_rows=leaked), settings)
    assert verdict.message() == "leak: measured 0.01, required ≤ 0.001"
    assert verdict.failed_gates[0].detail == "2 of 200 test rows are training rows too"


def test_other_weights_fail_the_parity(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """A LiteRT file of other weights, served, differs from the SavedModel at the endpoint and without it."""
    other = altered(world, logits=lambda answered: answered["logits"] * np.float32(1.01))
    litert = {name: dict(each) for name, each in other.sets.items()}
    saved_model = {name: dict(each) for name, each in world.scores().sets.items()}
    verdict = judge(
        tmp_path, make_case(candidate=other, references=References(saved_model, litert)), settings
    )
    assert failed(verdict) == ["endpoint-parity", "litert-parity"]
    assert "measured 500, required 0" in verdict.message()


def test_the_references_may_cover_the_test_set_alone(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """Parity is held on the sets that have a reference; a LiteRT answer that is missing there fails."""
    outputs = {"test": dict(world.scores().sets["test"])}
    assert judge(tmp_path, make_case(references=References(outputs, outputs)), settings).passed
    (tmp_path / "second").mkdir()
    verdict = judge(tmp_path / "second", make_case(references=References(outputs, {})), settings)
    assert failed(verdict) == ["litert-parity"]


def test_a_candidate_is_compared_with_its_rivals(
    make_case: Callable[..., Any], world: Any, settings: JudgingSettings, tmp_path: Path
) -> None:
    """Worse rivals are beaten; a candidate that is worse than one of them, in one statistic, fails."""

    def guess(answered: dict[str, np.ndarray]) -> np.ndarray:
        return np.where(answered["score"] > np.median(answered["score"]), 0, answered["class_ids"])

    worse = altered(world, class_ids=guess)
    best = replace(world.scores(), version=3)
    roles = {"accuracy": "production", "auroc": "production, best"}
    rivals = (Rival(replace(worse, version=4), roles), Rival(best, {"accuracy": "best"}))
    verdict = judge(tmp_path, make_case(rivals=rivals), settings)
    assert verdict.passed
    compared = verdict.content["compared"]
    assert [(each["statistic"], each["version"], each["role"]) for each in compared] == [
        ("accuracy", 4, "production"),
        ("auroc", 4, "production, best"),
        ("accuracy", 3, "best"),
    ]
    assert compared[0]["difference"]["value"] == pytest.approx(0.45, abs=0.05)
    assert compared[1]["difference"]["value"] == compared[2]["difference"]["value"] == 0.0
    assert all(each["passed"] and each["margin"] > 0 for each in compared)
    assert {"version 3", "version 4"} < verdict.content["detectors"]["letters"].keys()
    assert "version 3" not in verdict.content["detectors"]["blank"]

    (tmp_path / "second").mkdir()
    case = make_case(candidate=worse, rivals=rivals)
    verdict = judge(tmp_path / "second", case, settings.model_copy(update={"min_accuracy": 0.1}))
    assert failed(verdict) == ["endpoint-parity", "champion"]
    assert "champion: accuracy, version 3 (best) −0.4" in verdict.message()
    assert "version 4" not in verdict.message()


def test_a_verdict_says_first_which_outliers_it_looks_at(
    make_case: Callable[..., Any],
    settings: JudgingSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another set than the wanted one is told in the file, at its top, and in the log."""
    with caplog.at_level("INFO"):
        judge(tmp_path, make_case(wanted="notmnist-small"), settings)
    content = json.loads((tmp_path / VERDICT).read_text())
    assert next(iter(content)) == "primary"
    assert content["primary"] == {"set": "letters", "wanted": "notmnist-small", "made": False}
    assert "; judged against letters; notmnist-small was wanted and could not be had" in caplog.text


def test_a_primary_set_that_is_made_is_called_so(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no outliers were given, the verdict says so in the file and in the log."""
    with caplog.at_level("INFO"):
        verdict = judge(tmp_path, make_case(primary_is_made=True), settings)
    assert verdict.content["primary"] == {"set": "letters", "wanted": "letters", "made": True}
    assert "; judged against letters, which is made: no outliers were given" in caplog.text


def test_a_model_without_a_score_is_judged_by_what_it_classifies(
    make_case: Callable[..., Any],
    world: Any,
    settings: JudgingSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The gates that need a score say what is missing; all others judge it, and it can pass or fail."""
    alone = world.without_score()
    answered = {"test": dict(alone.scores().sets["test"])}
    case = make_case(
        candidate=alone.scores(),
        sets=alone.sets,
        primary="",
        wanted="",
        threshold=None,
        references=References(answered, answered),
    )
    with caplog.at_level("INFO"):
        verdict = judge(tmp_path, case, settings)
    assert [gate.name for gate in verdict.gates] == GATES
    missing = {gate.name: gate.required for gate in verdict.gates if gate.state == "not applicable"}
    assert missing == {
        "auroc": "the model gives no score",
        "trivial-detectors": "the model gives no score",
        "flagged-share": "the model gives no in_distribution",
        "champion": "none to compare with",
    }
    assert verdict.passed
    assert verdict.message() == "5 gates passed, 1 off, 4 not applicable"
    assert verdict.statistics() == {"accuracy": 1.0}
    assert load_verdict(tmp_path) == verdict
    content = verdict.content
    assert (content["detectors"], content["threshold"], set(content["pictures"])) == ({}, None, {"mistakes"})
    assert content["sets"] == {"test": {"role": "test", "images": 200}}
    assert "histograms" not in content
    assert "judged by what it classifies: the model gives no score" in caplog.text

    (tmp_path / "second").mkdir()
    wrong = replace(case, test_labels=np.roll(world.test_labels, 1))
    assert failed(judge(tmp_path / "second", wrong, settings)) == ["accuracy"]


def test_the_classes_of_a_verdict_are_those_of_the_data(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """Their names stand in it by label, and the confusion has a row for each, whether it occurs or not."""
    names = (*map(str, range(10)), "none of these")
    content = judge(tmp_path, make_case(classes=names), settings).content
    assert content["class_names"] == list(names)
    assert np.shape(content["confusion"]) == (11, 11)
    assert [each["class"] for each in content["classes"]] == list(range(10))


def test_a_bound_of_one_set_is_held(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """No detector reaches more than 1; the sets that have no bound of their own are measured only."""
    bound = settings.model_copy(update={"min_auroc_by_set": ("blank=0.5", "letters=0.5")})
    gate = next(each for each in judge(tmp_path, make_case(), bound).gates if each.name == "auroc")
    assert [part.name for part in gate.parts] == ["against letters", "against blank"]
    assert [part.required for part in gate.parts] == ["≥ 0.5", "≥ 0.5"]


def test_statistics_of_a_verdict(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """What later candidates are compared by: the accuracy, and the AUROC against the primary set."""
    assert judge(tmp_path, make_case(), settings).statistics() == {"accuracy": 1.0, "auroc": 1.0}


def test_equal_cases_have_equal_verdicts(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """The files of two judgings are the same, byte by byte."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        judge(tmp_path / name, make_case(), settings)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_a_wish_to_stop_is_heard(
    make_case: Callable[..., Any], settings: JudgingSettings, tmp_path: Path
) -> None:
    """No verdict is left behind."""
    with pytest.raises(Stopped):
        judge(tmp_path, make_case(), settings, should_stop=lambda: True)
    assert not list(tmp_path.iterdir())
