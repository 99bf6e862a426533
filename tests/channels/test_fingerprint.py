"""The fingerprint of the model server."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from tasks.channels.fingerprint import ROOT, fingerprint, server_sources
from tasks.store.code import code_digests, module_file


def test_all_modules_of_the_server_count():
    """Every module that the server imports is covered, but for the packages' own files."""
    closure = {module_file(name) for name in code_digests("tasks.serving.__main__")}
    needed = {path for path in closure if path is not None and path.name != "__init__.py"}
    assert needed <= set(server_sources())
    assert ROOT / "tasks" / "serving" / "litert.py" in needed


def test_code_libraries_and_arguments_change_it(monkeypatch):
    """Another argument, another version of a library or another byte of source gives another fingerprint."""
    before = fingerprint(["--port", "1"])
    assert fingerprint(["--port", "1"]) == before
    seen = {before, fingerprint(["--port", "2"])}
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda name: "0")
        seen.add(fingerprint(["--port", "1"]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: b"")
        seen.add(fingerprint(["--port", "1"]))
    assert len(seen) == 4


@pytest.mark.parametrize("library", ["ai-edge-litert", "tensorflow", "uvicorn"])
def test_another_version_of_one_library_changes_it(library, monkeypatch):
    """An upgrade of whatever a server may run with makes it an old one, TensorFlow's too."""
    before, real = fingerprint([]), importlib.metadata.version
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0" if name == library else real(name))
    assert fingerprint([]) != before
