"""Keys of steps."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.store.keys import changes, make_key


def key(**changed: Any) -> str:
    values: dict[str, Any] = {
        "modules": ["tasks.store.files"],
        "inputs": {"dataset": "d1"},
        "settings": {"classifier.steps": 10},
        "libraries": ["numpy"],
    }
    return make_key(**(values | changed)).digest


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"dataset": "d2"}},
        {"inputs": {"other": "d1"}},
        {"inputs": {"dataset": "d1", "more": "d1"}},
        {"settings": {"classifier.steps": 11}},
        {"settings": {"classifier.steps": "10"}},
        {"settings": {}},
        {"libraries": ["numpy", "pillow"]},
        {"modules": ["tasks.store.artifacts"]},
    ],
)
def test_each_part_decides(change):
    """Another input, setting, library or module gives another key."""
    assert key(**change) != key()


def test_order_does_not_decide():
    """A key does not depend on the order in which its parts are named."""
    assert key(settings={"a": 1, "b": 2}) == key(settings={"b": 2, "a": 1})


def test_a_library_version_decides(monkeypatch):
    """Another version of a library that computes the result gives another key."""
    before = key()
    monkeypatch.setattr("tasks.store.keys.library_version", lambda name: "0.0.1")
    assert key() != before


def test_changes_are_told_by_name_and_value():
    """A changed setting is told with both values, changed code by its module."""
    before = {"setting classifier.steps": "10", "code tasks.a": "x", "library numpy": "1"}
    now = {"setting classifier.steps": "20", "code tasks.a": "y", "library numpy": "1", "input set": "z"}
    assert changes(before, now) == ["code tasks.a", "input set", "setting classifier.steps: 10 → 20"]
