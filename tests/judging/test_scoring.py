from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from settings.errors import Stopped, Surroundings
from settings.hyperparameters import JudgingSettings, ServingSettings
from settings.model import Description
from tasks.judging.scores import Scores
from tasks.judging.scoring import IN_FLIGHT, score_sets
from tasks.making.scores import rows_in_a_request
from tasks.release.contract import Tensor

PROMISED = {
    "class_ids": Tensor("int64", (-1,), ""),
    "probabilities": Tensor("float32", (-1, 10), ""),
    "logits": Tensor("float32", (-1, 10), ""),
    "score": Tensor("float32", (-1,), ""),
}


def never() -> bool:
    """Nobody asks to stop."""
    return False


def score(client: Any, sets: Any, **arguments: Any) -> Scores:
    """Score with requests of 64 rows, unless told otherwise."""
    given = {
        "promised": PROMISED,
        "version": 1,
        "request_rows": 64,
        "should_stop": never,
    }
    return score_sets(client, sets, **(given | arguments))


def test_every_image_has_its_own_answer_in_its_place(world: Any) -> None:
    """Requests of any size give what one request for the whole set gives."""
    whole = score(world.client, world.sets, request_rows=1_000)
    parts = score(world.client, world.sets, request_rows=7)
    assert whole.version == 1
    for name, images in world.sets.items():
        assert {len(values) for values in whole.sets[name].values()} == {len(images)}
        assert np.array_equal(whole.sets[name]["class_ids"], parts.sets[name]["class_ids"])
        np.testing.assert_allclose(whole.sets[name]["score"], parts.sets[name]["score"], rtol=1e-5)
    assert (whole.sets["test"]["class_ids"] == world.test_labels).all()


def test_pixels_are_scaled_before_they_are_sent(world: Any) -> None:
    """The endpoint gets float32 from 0 to 1."""
    seen: list[np.ndarray] = []
    score(replace(world.client, before=seen.append), {"white": np.full((3, 28, 28), 255, np.uint8)})
    assert [(imgs.dtype, imgs.shape, imgs.max()) for imgs in seen] == [(np.float32, (3, 28, 28), 1.0)]


def test_a_few_requests_are_in_flight(world: Any) -> None:
    """The second request is under way before the first is answered, and never more than two."""
    under_way: set[int] = set()
    most: list[int] = []
    both = threading.Barrier(IN_FLIGHT, timeout=10)
    lock = threading.Lock()

    def arrive(imgs: np.ndarray) -> None:
        with lock:
            under_way.add(threading.get_ident())
            most.append(len(under_way))
        both.wait()
        with lock:
            under_way.discard(threading.get_ident())
        both.wait()

    score(replace(world.client, before=arrive), {"test": world.sets["test"][:128]}, request_rows=16)
    assert max(most) == IN_FLIGHT


def test_another_version_is_refused(world: Any) -> None:
    """A stale server on the stage's address is named by the version that it answers with."""
    with pytest.raises(
        Surroundings, match=r"^version: .* answered with version 7, and version 1 is to be judged"
    ):
        score(replace(world.client, version=7), world.sets)


def test_a_version_that_changes_on_the_way_is_refused(world: Any) -> None:
    """One answer of another version is enough."""
    client = replace(world.client)

    def change(imgs: np.ndarray) -> None:
        client.version = 1 if imgs.shape[0] == 64 else 2

    client.before = change
    with pytest.raises(Surroundings, match="version 2"):
        score(client, {"test": world.sets["test"][:65]})


def test_only_what_was_promised_is_taken(world: Any) -> None:
    """An output that the release does not promise is left out of the scores."""
    whole = score(world.client, world.sets)
    assert world.client.predict(np.zeros((1, 28, 28), np.float32)).outputs.keys() - PROMISED.keys() == {
        "in_distribution"
    }
    assert {tuple(answered) for answered in whole.sets.values()} == {tuple(PROMISED)}


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (
            lambda outputs: {name: outputs[name] for name in outputs if name != "score"},
            "no such output for 'score'",
        ),
        (lambda outputs: outputs | {"logits": outputs["logits"][:, :9]}, r"shape \(64, 9\) for 'logits'"),
        (lambda outputs: outputs | {"class_ids": outputs["class_ids"][1:]}, r"shape \(63,\) for 'class_ids'"),
    ],
)
def test_answers_of_another_model_are_refused(world: Any, alter: Callable[..., Any], message: str) -> None:
    """A missing output or another shape names the output and what was expected."""
    with pytest.raises(Surroundings, match=message):
        score(replace(world.client, alter=alter), world.sets)


def test_a_wish_to_stop_is_heard_between_requests(world: Any) -> None:
    """No further request is sent after the wish."""
    sent: list[int] = []
    client = replace(world.client, before=lambda imgs: sent.append(len(imgs)))
    with pytest.raises(Stopped):
        score(client, world.sets, request_rows=10, should_stop=lambda: len(sent) >= 3)
    assert 3 <= len(sent) <= 3 + IN_FLIGHT


@pytest.mark.parametrize(
    ("shape", "asked", "rows"),
    [((28, 28), 250, 250), ((28, 28), 5_000, 3_292), ((512, 512, 3), 250, 3), ((2_000, 2_000, 3), 250, 1)],
)
def test_a_request_holds_as_many_rows_as_fit_into_a_body(shape, asked, rows):
    """32 MiB of JSON, at most 13 bytes a value; a row that is larger goes alone."""
    question = SimpleNamespace(
        description=Description(shape=shape),
        serving=ServingSettings(),
        judging=JudgingSettings(request_images=asked),
    )
    assert rows_in_a_request(question) == rows
