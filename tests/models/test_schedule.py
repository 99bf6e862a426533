"""The learning rates, and the order of the images."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.models.schedule import Order, learning_rates


def test_the_cosine_rises_for_a_twentieth_and_falls_to_nothing() -> None:
    """Of 100 steps, the fifth has the highest rate, the middle of the fall half, the last next to none."""
    rates = learning_rates("cosine", 0.8, 100)
    np.testing.assert_allclose(rates[:5], [0.16, 0.32, 0.48, 0.64, 0.8])
    assert rates[52] == pytest.approx(0.4)  # step 53 = 5 + 96 / 2
    assert 0 < rates[-1] < 0.001
    assert (np.diff(rates[4:]) < 0).all()


def test_the_constant_schedule_is_constant() -> None:
    """Every step has the rate that was asked for."""
    assert learning_rates("constant", 0.01, 3).tolist() == [0.01, 0.01, 0.01]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_have_rates_above_zero(steps: int) -> None:
    """A cosine over one step is that step at the highest rate; no step is without effect."""
    rates = learning_rates("cosine", 0.5, steps)
    assert rates.shape == (steps,)
    assert rates[0] == 0.5
    assert (rates > 0).all()


@pytest.mark.parametrize(("images", "batch_size"), [(10, 5), (10, 4), (3, 7)])
def test_each_epoch_takes_each_image_once(images: int, batch_size: int) -> None:
    """The batches in a row are one permutation of all images after another, with no image left out."""
    epochs = 4
    row = Order(images, batch_size, seed=3).batches(0, images * epochs // batch_size + 1).ravel()
    permutations = row[: images * epochs].reshape(epochs, images)
    assert (np.sort(permutations, axis=1) == np.arange(images)).all()
    assert len({tuple(permutation) for permutation in permutations}) > 1


def test_the_order_does_not_depend_on_where_calls_begin() -> None:
    """Batches that are asked for one by one are those that are asked for at once."""
    order = Order(10, 4, seed=3)
    whole = order.batches(0, 9)
    assert whole.shape == (9, 4)
    np.testing.assert_array_equal(np.concatenate([order.batches(step, 1) for step in range(9)]), whole)
    assert order.batches(5, 0).shape == (0, 4)


def test_the_seed_decides_the_order() -> None:
    """Another seed gives another order, the same one the same."""
    assert (Order(50, 50, seed=1).batches(0, 1) == Order(50, 50, seed=1).batches(0, 1)).all()
    assert (Order(50, 50, seed=1).batches(0, 1) != Order(50, 50, seed=2).batches(0, 1)).any()
