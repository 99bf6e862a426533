"""The training loop: many steps of Adam in one compiled TensorFlow call over data in memory.

A training is a function of its inputs and its seed: where calls begin and end, stops and resumes change
nothing in its weights or its curve, on one machine with the same versions and threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from settings.errors import Stopped, WrongInput
from tasks.models.checkpoints import load_checkpoint, save_checkpoint
from tasks.models.schedule import Order, learning_rates
from tasks.models.trainable import Trainable

if TYPE_CHECKING:
    from settings.model import Training

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8

CALL_SECONDS = 0.5
"""What a compiled call aims at, so that a stop is obeyed within a second on a busy machine too."""


class Diverged(WrongInput):
    """The loss is not a finite number any more."""


@dataclass(frozen=True)
class Trained:
    """What a training gives."""

    values: dict[str, npt.NDArray[Any]]  # the trained variables, and the state
    losses: Array  # (steps,)
    rates: npt.NDArray[np.float64]  # (steps,)

    def curve(self, display_steps: int) -> str:
        """The learning curve as CSV: mean loss over and rate after each `display_steps`."""
        rows = (
            f"{end},{_mean_loss(self.losses, end, display_steps):.9g},{self.rates[end - 1]:.9g}\n"
            for end in _displays(len(self.losses), display_steps)
        )
        return "".join(["step,loss,learning_rate\n", *rows])


def train(
    name: str,
    network: Trainable,
    data: Sequence[tf.Tensor],
    *,
    settings: Training,
    checkpoints: Path,
    should_stop: Callable[[], bool],
) -> Trained:
    """Trains a network on the tensors of `data`, which it made of the rows, each with one entry per row.

    Goes on from the checkpoint in `checkpoints`, where there is one with products of the same type: what was
    trained on another kind of processor does not fit. Raises Stopped after the call in which `should_stop`
    came true, with all that was done kept; raises Diverged when the loss is not finite.
    """
    steps, batch_size = settings.steps, settings.batch_size
    order = Order(len(data[0]), batch_size, settings.seed)
    rates = learning_rates(settings.schedule, settings.learning_rate, steps)
    adam_rates = (rates * _bias_correction(steps)).astype(np.float32)

    state: dict[str, npt.NDArray[Any]] = {
        "precision": np.array(network.precision),
        "step": np.array(0),
        "losses": np.zeros(steps, np.float32),
    }
    for part, values in network.variables.items():
        state |= {part: values, f"{part}/m": np.zeros_like(values), f"{part}/v": np.zeros_like(values)}
    state = load_checkpoint(checkpoints, state | network.state) or state | network.state
    kind, step, losses = state.pop("precision"), int(state.pop("step")), state.pop("losses")
    if step:
        logger.info("%s: goes on from step %s of %s", name, f"{step:,}", f"{steps:,}")

    variables = {part: tf.Variable(values) for part, values in state.items()}
    run = _compile(network, variables, data, settings.seed)

    def keep() -> None:
        values = {part: variable.numpy() for part, variable in variables.items()}
        save_checkpoint(checkpoints, {"precision": kind, "step": np.array(step), "losses": losses, **values})

    logger.info("%s: %s steps of %s out of %s rows", name, f"{steps:,}", batch_size, f"{len(data[0]):,}")
    run(step, order.batches(step, 0), adam_rates[:0])  # compiles
    progress = _Progress(name, settings, step)
    kept, count = time.monotonic(), 1  # large layers and batches make even a few steps long
    while step < steps:
        if should_stop():
            keep()
            raise Stopped(f"{name}: stopped at step {step:,} of {steps:,}; the next run goes on from there")
        count = min(count, steps - step)
        started = time.monotonic()
        done = run(step, order.batches(step, count), adam_rates[step : step + count]).numpy()
        seconds = time.monotonic() - started
        losses[step : step + count] = done
        _check_losses(name, done, step, rates)
        progress.show(losses, rates, step, step + count)
        step += count
        if time.monotonic() - kept > settings.checkpoint_seconds and step < steps:
            keep()
            kept = time.monotonic()
        # The first calls are too short to be measured well; the length at most triples from one to the next.
        count = max(1, min(3 * count, int(CALL_SECONDS * count / max(seconds, 1e-6))))

    trained = {part: variables[part].numpy() for part in (*network.variables, *network.state)}
    if not all(np.isfinite(values).all() for values in trained.values()):
        raise Diverged(_advice(name, steps, float(losses[-1]), rates[-1], "weights that are not finite"))
    return Trained(trained, losses, rates)


def _compile(
    network: Trainable, variables: Mapping[str, tf.Variable], data: Sequence[tf.Tensor], seed: int
) -> Callable[[Any, Any, Any], tf.Tensor]:
    """A compiled function that takes S steps and gives their losses (S,).

    Its arguments: how many steps there were before, the rows of each batch (S, B), Adam's rates (S,).
    """
    trained, kept = tuple(network.variables), tuple(network.state)

    def run(before: tf.Tensor, batches: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
        losses = tf.TensorArray(tf.float32, tf.shape(rates)[0], element_shape=())
        for step in tf.range(tf.shape(rates)[0]):
            batch = [tf.gather(rows, batches[step]) for rows in data]
            values = {part: variables[part].read_value() for part in (*trained, *kept)}
            loss, slopes, state = network.loss_and_gradients(values, batch, tf.stack([seed, before + step]))
            for part in trained:
                # The correction of Adam's moments for their start is in the rate already.
                tf.raw_ops.ResourceApplyAdam(
                    var=variables[part].handle,
                    m=variables[f"{part}/m"].handle,
                    v=variables[f"{part}/v"].handle,
                    beta1_power=0.0,
                    beta2_power=0.0,
                    lr=rates[step],
                    beta1=BETA_1,
                    beta2=BETA_2,
                    epsilon=EPSILON,
                    grad=slopes[part],
                )
            for part in kept:
                if part in state:
                    variables[part].assign(state[part])
            losses = losses.write(step, loss)
        return losses.stack()

    signature = [
        tf.TensorSpec((), tf.int32),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None,), tf.float32),
    ]
    compiled: Callable[[Any, Any, Any], tf.Tensor] = tf.function(run, input_signature=signature)
    return compiled


def _bias_correction(steps: int) -> npt.NDArray[np.float64]:
    """What Adam multiplies the rate of each step by (Kingma and Ba 2015, end of section 2)."""
    step = np.arange(1, steps + 1)
    correction: npt.NDArray[np.float64] = np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    return correction


class _Progress:
    """The lines of progress: loss, rate, rows per second and the time left."""

    def __init__(self, name: str, settings: Training, step: int) -> None:
        self._name = name
        self._settings = settings
        self._step = step
        self._time = time.monotonic()

    def show(self, losses: Array, rates: npt.NDArray[np.float64], before: int, step: int) -> None:
        """One line for each display that lies after `before` and not after `step`."""
        steps, display_steps = self._settings.steps, self._settings.display_steps
        passed = [end for end in _displays(steps, display_steps) if before < end <= step]
        if not passed:
            return
        now = time.monotonic()
        per_second = (step - self._step) / max(now - self._time, 1e-9)
        self._step, self._time = step, now
        for end in passed:
            logger.info(
                "%s: step %s of %s, loss %.5f, learning rate %.2e, %s rows/s, %.0f s left",
                self._name,
                f"{end:,}",
                f"{steps:,}",
                _mean_loss(losses, end, display_steps),
                rates[end - 1],
                f"{per_second * self._settings.batch_size:,.0f}",
                (steps - end) / per_second,
            )


def _displays(steps: int, display_steps: int) -> list[int]:
    """The steps, counted from 1, that end a line of progress; the last step is one."""
    return [*range(display_steps, steps, display_steps), steps]


def _mean_loss(losses: Array, end: int, display_steps: int) -> float:
    start = (end - 1) // display_steps * display_steps
    return float(losses[start:end].mean(dtype=np.float64))


def _check_losses(name: str, losses: Array, before: int, rates: npt.NDArray[np.float64]) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        step = before + int(wrong[0])
        raise Diverged(
            _advice(name, step + 1, float(losses[wrong[0]]), rates[step], "a loss that is not finite")
        )


def _advice(name: str, step: int, loss: float, rate: float, what: str) -> str:
    return (
        f"{name}: {what} at step {step:,} (loss {loss}, learning rate {rate:.3g}): lower {name}.learning_rate"
    )
