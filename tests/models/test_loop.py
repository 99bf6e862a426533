"""The training loop on problems whose every step can be reckoned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from settings.errors import Stopped, WrongInput
from settings.hyperparameters import ClassifierSettings
from tasks.models import loop
from tasks.models.loop import Diverged, Trained, train
from tasks.models.schedule import Order, learning_rates
from tasks.models.trainable import Trainable
from tasks.store.files import ASIDE

START = {"weight": np.array([1.0, -2.0], np.float32)}
ROWS = np.random.default_rng(1).normal(size=(10, 2)).astype(np.float32)

Tensors = Mapping[str, tf.Tensor]


def never() -> bool:
    return False


def stop_at(call: int) -> Callable[[], bool]:
    """True from the so-manieth time on that it is asked."""
    asked = iter(range(1_000_000))
    return lambda: next(asked) >= call


Gradients = Callable[[Tensors, Sequence[tf.Tensor], tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]


def to_the_mean(
    parts: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Half the squared distance of the weight to the mean of the batch."""
    distance = parts["weight"] - tf.reduce_mean(batch[0], axis=0)
    return tf.reduce_sum(distance**2) / 2, {"weight": distance}


class Reckoned(Trainable):
    """A network of one weight, whose loss and gradients are a function of the test.

    Its state counts the steps.
    """

    def __init__(self, gradients: Gradients) -> None:
        super().__init__(START, {"steps": np.zeros((), np.int64)})
        self.gradients = gradients

    def loss_and_gradients(
        self, values: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Give what the function gives, and the state with one step more."""
        return *self.gradients(values, batch, key), {"steps": values["steps"] + 1}


def settings(**changes: Any) -> ClassifierSettings:
    values = {"steps": 30, "batch_size": 4, "learning_rate": 0.05, "display_steps": 8, "seed": 5}
    return ClassifierSettings(**(values | changes))


def run(
    folder: Path,
    gradients: Gradients = to_the_mean,
    should_stop: Callable[[], bool] = never,
    data: np.ndarray = ROWS,
    **changes: Any,
) -> Trained:
    return train(
        "classifier",
        Reckoned(gradients),
        (tf.constant(data),),
        settings=settings(**changes),
        checkpoints=folder,
        should_stop=should_stop,
    )


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_steps_are_those_of_adam(tmp_path: Path, schedule: str) -> None:
    """Weights and losses are what NumPy reckons by the paper, with the order's batches and the rates."""
    trained = run(tmp_path, schedule=schedule)
    weight, m, v = START["weight"].astype(np.float64), 0.0, 0.0
    rates = learning_rates(schedule, 0.05, 30)
    losses = []
    for step, images in enumerate(Order(10, 4, seed=5).batches(0, 30), start=1):
        slope = weight - ROWS[images].mean(axis=0)
        losses.append((slope**2).sum() / 2)
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        corrected = np.sqrt(v / (1 - 0.999**step))
        weight = weight - rates[step - 1] * (m / (1 - 0.9**step)) / (corrected + 1e-8)
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-4)
    np.testing.assert_allclose(trained.values["weight"], weight, rtol=1e-4)
    assert trained.values["steps"] == 30


def test_each_epoch_uses_each_image_once(tmp_path: Path) -> None:
    """What the compiled steps gather are whole permutations of the data."""

    def seen(
        parts: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return batch[0][0], {"weight": tf.zeros(2)}

    images = np.arange(7, dtype=np.float32)
    losses = run(tmp_path, seen, data=images, batch_size=1, steps=28).losses.reshape(4, 7)
    np.testing.assert_array_equal(np.sort(losses, axis=1), np.tile(images, (4, 1)))
    assert len({tuple(epoch) for epoch in losses}) > 1


def test_each_step_has_a_key_of_its_own(tmp_path: Path) -> None:
    """The seed and the number of the step, across compiled calls and a stop."""

    def keyed(
        parts: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return tf.cast(key[0] * 1000 + key[1], tf.float32), {"weight": tf.zeros(2)}

    with pytest.raises(Stopped):
        run(tmp_path, keyed, stop_at(1))
    np.testing.assert_array_equal(run(tmp_path, keyed).losses, 5000 + np.arange(30))


@pytest.mark.parametrize("call", [0, 1, 5, 29])
def test_a_stopped_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Wherever it stops, and however its calls are cut, weights and curve are those of one go."""
    whole = run(tmp_path / "whole")
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)  # one step a call
    with pytest.raises(Stopped, match=f"step {call} of 30"):
        run(tmp_path / "stopped", should_stop=stop_at(call))
    monkeypatch.undo()
    resumed = run(tmp_path / "stopped")
    assert resumed.values["weight"].tobytes() == whole.values["weight"].tobytes()
    assert resumed.values["steps"] == whole.values["steps"] == 30
    assert resumed.curve(8) == whole.curve(8)


@pytest.mark.parametrize("fatal", [1, 2, 7])
def test_a_kill_between_write_and_rename_loses_only_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fatal: int
) -> None:
    """The checkpoint before is whole, what was half-written is passed over, and the end is the same."""
    whole = run(tmp_path / "whole")
    replace, renames = Path.replace, iter(range(1, 1_000))

    def killed(self: Path, target: Path) -> Path:
        if next(renames) == fatal:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)  # the dead tidy nothing up
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", checkpoint_seconds=1e-9)
    assert list((tmp_path / "killed").glob(f"{ASIDE}*-checkpoint.npz"))
    assert (tmp_path / "killed" / "checkpoint.npz").exists() == (fatal > 1)
    monkeypatch.undo()
    resumed = run(tmp_path / "killed")
    assert resumed.values["weight"].tobytes() == whole.values["weight"].tobytes()
    assert resumed.curve(8) == whole.curve(8)


def test_a_resumed_training_does_not_begin_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says the step at which it goes on."""
    with pytest.raises(Stopped):
        run(tmp_path, should_stop=stop_at(1))
    with caplog.at_level(logging.INFO):
        run(tmp_path)
    assert "classifier: goes on from step 1 of 30" in caplog.messages


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    """The same seed gives the same bits, another seed others."""
    first = run(tmp_path / "1").values["weight"].tobytes()
    assert run(tmp_path / "2").values["weight"].tobytes() == first
    assert run(tmp_path / "3", seed=6).values["weight"].tobytes() != first


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    """The error is the user's to mend: it names step, loss, learning rate and what to lower."""

    def explodes(
        parts: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return tf.where(key[1] < 19, 1.0, np.nan), {"weight": tf.zeros(2)}

    with pytest.raises(Diverged) as raised:
        run(tmp_path, explodes, schedule="constant")
    assert isinstance(raised.value, WrongInput)
    assert str(raised.value) == (
        "classifier: a loss that is not finite at step 20 (loss nan, learning rate 0.05): "
        "lower classifier.learning_rate"
    )
    assert not (tmp_path / "checkpoint.npz").exists()


def test_weights_that_are_not_finite_are_no_result(tmp_path: Path) -> None:
    """The last step has no loss after it; its weights are looked at."""

    def last(
        parts: Tensors, batch: Sequence[tf.Tensor], key: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return tf.constant(1.0), {"weight": tf.where(key[1] < 29, 0.0, np.inf) * tf.ones(2)}

    with pytest.raises(Diverged, match="weights that are not finite at step 30"):
        run(tmp_path, last)


def test_progress_says_loss_rate_speed_and_time_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line every display_steps and one at the end, with the mean loss since the line before."""
    with caplog.at_level(logging.INFO):
        trained = run(tmp_path, schedule="constant")
    assert caplog.messages[0] == "classifier: 30 steps of 4 out of 10 rows"
    lines = [line for line in caplog.messages if "rows/s" in line]
    means = [trained.losses[start : start + 8].mean(dtype=np.float64) for start in (0, 8, 16, 24)]
    for line, step, mean in zip(lines, (8, 16, 24, 30), means, strict=True):
        assert line.startswith(f"classifier: step {step} of 30, loss {mean:.5f}, learning rate 5.00e-02, ")
        assert line.endswith(" s left")


def test_the_curve_has_a_row_for_each_line_of_progress(tmp_path: Path) -> None:
    """Step, mean loss since the row before, and the learning rate of that step."""
    trained = run(tmp_path)
    head, *rows = trained.curve(8).splitlines()
    assert head == "step,loss,learning_rate"
    values = np.array([[float(value) for value in row.split(",")] for row in rows])
    np.testing.assert_array_equal(values[:, 0], [8, 16, 24, 30])
    np.testing.assert_allclose(values[1, 1], trained.losses[8:16].mean(), rtol=1e-6)
    np.testing.assert_allclose(values[:, 2], learning_rates("cosine", 0.05, 30)[[7, 15, 23, 29]], rtol=1e-6)


@pytest.mark.parametrize(
    ("step_seconds", "calls"), [(0.05, [1, 3, 9, 10, 7]), (0.3, [1] * 30), (4.0, [1] * 30)]
)
def test_a_call_grows_to_the_time_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_seconds: float, calls: list[int]
) -> None:
    """Calls grow to the steps of half a second, by a clock of the test; a long step is a call of its own."""
    now, seen = [0.0], []
    batches = Order.batches

    def counted(self: Order, first: int, count: int) -> Any:
        seen.append(count)
        now[0] += step_seconds * count
        return batches(self, first, count)

    monkeypatch.setattr(Order, "batches", counted)
    monkeypatch.setattr("tasks.models.loop.time.monotonic", lambda: now[0])
    run(tmp_path)
    assert seen == [0, *calls]  # the first one compiles
