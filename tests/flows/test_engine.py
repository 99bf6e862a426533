"""Prefect for a command: what its start does to the process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from flows.commands.engine import garbage_kept


@pytest.fixture(autouse=True)
def _thaw():
    yield
    gc.unfreeze()


def test_the_pages_of_a_server_ask_the_port_that_the_variable_names(tmp_path):
    """As README says: Prefect tells them the port of its settings, of which --port is none."""
    code = "from prefect.settings import get_current_settings as s; print(s().server.ui.api_url)"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environ |= {"PREFECT_SERVER_API_PORT": "4300", "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "http://127.0.0.1:4300/api"


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
