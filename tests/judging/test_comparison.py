"""When a candidate is worse than a version before it, on answers drawn as those of real models are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.judging.bootstrap import accuracy_difference, bootstrap, difference
from tasks.judging.comparison import Comparison, margin
from tasks.judging.statistics import Estimate

CONFIDENCE = 0.95
IMAGES = 10_000


def compared(difference: Estimate, allowed: float) -> Comparison:
    """A comparison of nothing in particular."""
    return Comparison("accuracy", 1, "production", difference, allowed)


def answered(wrong: int, *, shared: int = 0, images: int = IMAGES) -> np.ndarray:
    """Give which of the images a model is right on: of its mistakes, `shared` are the first images."""
    right = np.ones(images, bool)
    right[:shared] = False
    right[images - (wrong - shared) :] = False
    return right


def beside(candidate: np.ndarray, rival: np.ndarray, wanted: float = 0.0) -> Comparison:
    """Compare two models by which images each is right on."""
    found = accuracy_difference(candidate, rival, rounds=1_000, seed=1, confidence=CONFIDENCE)
    allowed = margin(float(rival.mean()), len(rival), confidence=CONFIDENCE, wanted=wanted)
    return compared(found, allowed)


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [
        (-0.002, 0.002, True),
        (-0.0059, 0.0, True),  # worse or equal, and by less than the margin for sure
        (-0.006, 0.001, False),  # it may be worse by the margin
        (-0.5, 0.5, False),  # too few images to say anything
        (-0.002, -0.0001, False),  # surely worse, by however little
        (0.001, 0.002, True),
        (0.0, 0.0, True),  # the same answers
    ],
)
def test_no_worse_than_the_margin_and_not_surely_worse(low: float, high: float, passed: bool) -> None:
    """Both ends of the interval decide."""
    assert compared(Estimate((low + high) / 2, low, high), 0.006).passed is passed


@pytest.mark.parametrize("widths", [0.6, 0.75, 1.0])
def test_a_sure_loss_within_the_width_of_the_interval_fails(widths: float) -> None:
    """An interval of that width around such a loss is wholly below zero."""
    half = 0.002
    loss = -2 * half * widths
    assert not compared(Estimate(loss, loss - half, loss + half), 0.1).passed


def test_a_loss_of_half_a_percent_fails() -> None:
    """98.8 % to 98.3 % on 10,000 images, with half of the mistakes in common."""
    rival = answered(120, shared=60)
    candidate = answered(0)
    candidate[:170] = False  # 60 of them with the rival, whose others are the last images
    assert candidate.mean() == pytest.approx(0.983)
    found = beside(candidate, rival)
    assert found.difference.high < 0
    assert not found.passed


def test_a_chain_of_small_losses_is_stopped_at_the_best() -> None:
    """Each step alone may be noise; the third version is surely worse than the first, and stays out."""
    generator = np.random.default_rng(5)
    hard = generator.permutation(IMAGES)[:250]  # the images that such models get wrong
    versions = []
    for accuracy in (0.9894, 0.9875, 0.9859, 0.9829):
        right = np.ones(IMAGES, bool)
        right[hard[: round(IMAGES * (1 - accuracy) * 0.6)]] = False  # what all of them get wrong
        own = np.flatnonzero(right)
        right[generator.permutation(own)[: round(IMAGES * (1 - accuracy)) - int((~right).sum())]] = False
        assert right.mean() == pytest.approx(accuracy)
        versions.append(right)
    first, second, third, fourth = versions
    assert beside(second, first).passed
    assert not beside(third, first).passed
    assert not beside(fourth, first).passed


@pytest.mark.parametrize(("accuracy", "shared"), [(0.988, 0.0), (0.988, 0.6), (0.98, 0.0), (0.93, 0.3)])
@pytest.mark.parametrize("images", [IMAGES, 3_000])
def test_the_draw_of_images_does_not_trip_the_margin(accuracy: float, shared: float, images: int) -> None:
    """Of equally good models, no more fail than the interval's level says are surely worse: one of 40.

    Where they share mistakes, as real ones do, none fails by the margin alone; where they share none, a rival
    that was lucky has a margin that is a little too small, and few more fail.
    """
    generator = np.random.default_rng(round(accuracy * 1_000) + images)
    verdicts = []
    for _ in range(150):
        common = generator.random(images) < (1 - accuracy) * shared
        alone = (1 - accuracy) * (1 - shared) / (1 - (1 - accuracy) * shared)
        candidate, rival = (~common & (generator.random(images) >= alone) for _ in range(2))
        verdicts.append(beside(candidate, rival))
    refused = [each for each in verdicts if not each.passed]
    expected = 150 * (0.025 if shared else 0.05)
    assert len(refused) <= expected + 3 * math.sqrt(expected)
    assert not shared or all(each.difference.high < 0 for each in refused)


@pytest.mark.parametrize("distance", [6.0, 4.0, 1.5])
def test_the_draw_of_images_does_not_trip_the_margin_of_the_auroc(distance: float) -> None:
    """The same for scores, from sets that are parted without a mistake to sets that overlap."""
    generator = np.random.default_rng(3)
    for _ in range(20):
        inliers = {name: generator.normal(0, 1, 2_000) for name in ("candidate", "rival")}
        outliers = {name: generator.normal(distance, 1, 1_000) for name in inliers}
        rounds = bootstrap(inliers, outliers, rounds=200, seed=1)
        found = difference(rounds["candidate"], rounds["rival"], "auroc", CONFIDENCE)
        allowed = margin(rounds["rival"].measured.auroc, 1_000, confidence=CONFIDENCE)
        assert compared(found, allowed).passed or found.high < 0


def test_the_margin_follows_the_images_and_the_level() -> None:
    """Four times the images halve it; a rival without a mistake leaves one; what is set is taken as it is."""
    assert margin(0.988, 10_000, confidence=0.95) == pytest.approx(0.0061, abs=2e-4)
    few, many = (margin(0.9, images, confidence=0.95) for images in (2_500, 10_000))
    assert few == pytest.approx(2 * many, rel=0.01)
    assert margin(0.93, 10_000, confidence=0.95) > margin(0.988, 10_000, confidence=0.95)
    assert 0 < margin(1.0, 10_000, confidence=0.95) < 0.001
    assert margin(0.988, 10_000, confidence=0.95, wanted=0.002) == 0.002


def test_a_margin_that_is_set_is_held() -> None:
    """Equally good models whose mistakes have nothing in common differ by more than a tenth of a percent."""
    rival, candidate = answered(120), answered(120, shared=120)
    assert beside(candidate, rival).passed
    assert not beside(candidate, rival, wanted=0.001).passed
