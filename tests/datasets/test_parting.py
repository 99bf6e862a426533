"""The parting of a set, its order and its digest."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from tasks.datasets.errors import Refused
from tasks.datasets.parting import Row, arranged, check_classes, counted, part, row_digest, set_digest

CLASSES = ("a", "b")


def rows(**counts: int) -> list[Row]:
    """So many different rows of each class, not parted."""
    return [
        Row("", label, row_digest(np.array([place, ord(label)])), place)
        for label, count in counts.items()
        for place in range(count)
    ]


def of(parted: list[Row]) -> set[tuple[str, str, bytes]]:
    return {(row.split, row.label, row.digest) for row in parted}


def test_each_class_is_parted_by_the_share() -> None:
    """A fifth of each tests, and at least one row, also of a small class."""
    assert counted(part(rows(a=100, b=3), 0.2, 1), CLASSES) == {
        "train": {"a": 80, "b": 2},
        "test": {"a": 20, "b": 1},
    }
    assert counted(part(rows(a=2, b=4), 0.9, 1), CLASSES) == {
        "train": {"a": 1, "b": 1},
        "test": {"a": 1, "b": 3},
    }


def test_the_content_decides_and_not_the_order() -> None:
    """The same rows in another order are parted the same way; another seed parts them otherwise."""
    given = rows(a=50, b=50)
    first = part(given, 0.3, 1)
    random.Random(1).shuffle(given)
    assert of(part(given, 0.3, 1)) == of(first)
    assert of(part(given, 0.3, 2)) != of(first)


def test_equal_rows_stay_together() -> None:
    """No row that is trained on is tested with."""
    given = [Row("", "a", row_digest(np.array([place % 4])), place) for place in range(40)]
    for seed in range(20):
        parted = part(given, 0.25, seed)
        sides = {(row.digest, row.split) for row in parted}
        assert len(sides) == 4
        assert Counter(row.split for row in parted) == {"train": 30, "test": 10}


@pytest.mark.parametrize("count", [1, 5])
def test_a_class_that_cannot_be_parted(count: int) -> None:
    """One row, or the same one several times, is on one side alone."""
    same = [Row("", "a", row_digest(np.array([1])), place) for place in range(count)]
    with pytest.raises(Refused, match="the class 'a' has one row alone, or the same one again"):
        part([*same, *rows(b=4)], 0.5, 1)


def test_rows_of_all_classes_are_mixed() -> None:
    """The last rows, which are held out, are of every class."""
    last = arranged(rows(a=200, b=200), CLASSES)[-40:]
    assert {row.label for row in last} == {"a", "b"}


def test_the_digest_of_a_set() -> None:
    """It follows from rows, splits, classes and their order, and from nothing else."""
    given = part(rows(a=5, b=5), 0.4, 1)
    digest = set_digest(given, CLASSES)
    assert (
        set_digest([Row(row.split, row.label, row.digest, 0) for row in reversed(given)], CLASSES) == digest
    )
    others = [
        (given[:-1], CLASSES),
        ([*given, given[0]], CLASSES),
        (given, ("b", "a")),
        (given, ("a", "c")),
        (part(rows(a=5, b=5), 0.2, 1), CLASSES),
    ]
    digests = {digest, *(set_digest(*other) for other in others)}
    assert len(digests) == 6


def test_a_row_is_its_values_their_shape_and_type() -> None:
    """What is not the same to a network is not the same row."""
    zeros = np.zeros((2, 3), np.uint8)
    digests = {
        row_digest(each) for each in (zeros, zeros.T, zeros.ravel(), zeros.astype(np.float32), zeros + 1)
    }
    assert len(digests) == 5
    assert row_digest(np.asfortranarray(np.arange(6).reshape(2, 3))) == row_digest(np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"": []}, "set: holds no folder of a class"),
        ({"train": ["a", "b"], "test": []}, "set: test/ holds no folder of a class"),
        ({"": ["a"]}, "set: holds one class alone, 'a'; a classifier needs two or more"),
        ({"train": ["a", "b"], "test": ["a"]}, "set: test/ lacks classes of the other split: b"),
        ({"train": ["a"], "test": ["a", "b"]}, "set: train/ lacks classes of the other split: b"),
        ({"": ["a", "b", "c"]}, "set: the class 'c' is empty"),
        ({"": ["a", "b", "c\n"]}, r"set: 'c\n' is no name of a class: it has to be text on one line"),
        ({"": ["a", "b", " "]}, "set: ' ' is no name of a class: it has to be text on one line"),
        ({"": [str(number) for number in range(257)]}, "set: holds 257 classes; 256 are the most"),
    ],
)
def test_classes_that_nothing_is_learnt_from(found: dict[str, list[str]], message: str) -> None:
    """What is wrong with them is told with their names."""
    with pytest.raises(Refused) as refused:
        check_classes(found, rows(a=2, b=2), "set")
    assert str(refused.value) == message
