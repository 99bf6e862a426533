"""A small case: drawn images, and a fake endpoint that computes its answers with numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from settings.hyperparameters import JudgingSettings
from tasks.judging.case import Case, References
from tasks.judging.scores import Scores
from tasks.judging.scoring import score_sets
from tasks.release.contract import Tensor

CLASSES = 10

PROMISED = {
    "class_ids": Tensor("int64", (-1,), ""),
    "probabilities": Tensor("float32", (-1, CLASSES), ""),
    "logits": Tensor("float32", (-1, CLASSES), ""),
    "score": Tensor("float32", (-1,), ""),
    "in_distribution": Tensor("bool", (-1,), ""),
}
"""The outputs of `serving_default`."""


@dataclass(frozen=True)
class FakeAnswer:
    """What the fake client answers."""

    outputs: dict[str, np.ndarray]
    version: int


@dataclass
class FakeClient:
    """A fake of a channel's client: nearest mean for the class, distance to that mean for the score."""

    means: np.ndarray  # (10, 784) float32
    threshold: float
    version: int = 1
    alter: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = dict  # what goes wrong in an answer
    before: Callable[[np.ndarray], object] = len  # called with the images of each request

    def predict(self, imgs: np.ndarray, signature: str = "serving_default") -> FakeAnswer:
        """Answer as serving_default does."""
        assert signature == "serving_default"
        assert imgs.dtype == np.float32
        self.before(imgs)
        flat = imgs.reshape(len(imgs), -1)
        distance = ((flat[:, None] - self.means) ** 2).mean(axis=2)  # (n, 10)
        logits = (-50 * distance).astype(np.float32)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        score = distance.min(axis=1).astype(np.float32)
        outputs = {
            "class_ids": logits.argmax(axis=1),
            "probabilities": odds / odds.sum(axis=1, keepdims=True),
            "logits": logits,
            "score": score,
            "in_distribution": score <= np.float32(self.threshold),
        }
        return FakeAnswer(self.alter(outputs), self.version)


@dataclass(frozen=True)
class World:
    """Ten classes of noisy patterns, outliers that are none, and a fake client that knows the means."""

    client: FakeClient
    train_rows: np.ndarray
    test_labels: np.ndarray
    sets: dict[str, np.ndarray]
    promised: dict[str, Tensor] = field(default_factory=lambda: PROMISED)

    def without_score(self) -> World:
        """Give the world of a model that classifies alone: its answers have no score, and it no outliers."""

        def classify(answered: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: answered[name] for name in ("class_ids", "probabilities", "logits")}

        return replace(
            self,
            client=replace(self.client, alter=classify),
            sets={"test": self.sets["test"]},
            promised={name: PROMISED[name] for name in ("class_ids", "probabilities", "logits")},
        )

    def scores(self, client: FakeClient | None = None) -> Scores:
        """Give what the client answers for all sets."""
        client = client or self.client
        return score_sets(
            client,
            self.sets,
            version=client.version,
            promised=self.promised,
            request_rows=64,
            should_stop=lambda: False,
        )


@pytest.fixture(scope="session")
def world() -> World:
    """300 training images, 200 test images, 150 outliers of each of two kinds."""
    generator = np.random.default_rng(7)
    patterns = generator.integers(0, 200, (CLASSES, 28, 28))

    def drawn(labels: np.ndarray) -> np.ndarray:
        noise = generator.normal(0, 12, (len(labels), 28, 28))
        return np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)

    train_labels, test_labels = np.arange(300) % CLASSES, np.arange(200) % CLASSES
    test = drawn(test_labels)
    means = (patterns / 255).reshape(CLASSES, -1).astype(np.float32)
    client = FakeClient(means, threshold=1.0)
    flagged_from = np.sort(client.predict((test / np.float32(255)).astype(np.float32)).outputs["score"])[-3]
    return World(
        client=replace(client, threshold=float(flagged_from)),  # two of 200 test images are above it
        train_rows=drawn(train_labels),
        test_labels=test_labels.astype(np.uint8),
        sets={
            "test": test,
            "letters": generator.integers(0, 256, (150, 28, 28), dtype=np.uint8),
            "blank": np.zeros((150, 28, 28), np.uint8),
        },
    )


@pytest.fixture
def settings() -> JudgingSettings:
    """The defaults, with few rounds."""
    return JudgingSettings(bootstrap_rounds=50)


@pytest.fixture
def make_case(world: World) -> Callable[..., Case]:
    """Give a case that passes every gate; arguments replace its parts."""

    def make(**parts: Any) -> Case:
        candidate = parts.pop("candidate", None) or world.scores()
        outputs = {name: dict(answered) for name, answered in world.scores().sets.items()}
        given: dict[str, Any] = {
            "rivals": (),
            "sets": world.sets,
            "test": "test",
            "primary": "letters",
            "wanted": "letters",
            "test_labels": world.test_labels,
            "train_rows": world.train_rows,
            "classes": tuple(map(str, range(CLASSES))),
            "references": References(outputs, outputs),
            "threshold": world.client.threshold,
            "held_out": 5_000,
            "scales": {"logits": 1.0, "score": 0.01},
            "release": {"name": "mnist"},
        }
        return Case(candidate=candidate, **(given | parts))

    return make
