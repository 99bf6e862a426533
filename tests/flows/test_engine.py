"""Prefect for a command: what its start does to the process."""

from __future__ import annotations

import gc

import pytest

from flows.commands.engine import garbage_kept


@pytest.fixture(autouse=True)
def _thaw():
    yield
    gc.unfreeze()


def test_garbage_is_not_collected_in_the_block_and_is_collected_after_it():
    frozen = gc.get_freeze_count()
    with garbage_kept():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen


def test_garbage_is_collected_after_a_block_that_failed():
    with pytest.raises(ImportError), garbage_kept():
        raise ImportError
    assert gc.isenabled()
