"""What is published outlives a power cut: it is flushed before it is renamed, and its folder after."""

from __future__ import annotations

import ast

import pytest

from tasks.channels.files import ChannelFiles
from tasks.release.document import Wanted
from tasks.release.history import History
from tasks.release.registry import Registry
from tasks.store.artifacts import RECORD, combined_digest, file_digests
from tasks.store.code import FIRST_PARTY, ROOT
from tasks.store.files import make_folder, publish, write_bytes, write_json
from tasks.store.keys import make_key
from tasks.store.store import Store
from tests.store.power import record_disk


@pytest.fixture
def disk(monkeypatch):
    """What reaches the disk, and in which order, from now on."""
    return record_disk(monkeypatch)


def fill(folder):
    """Write two files, one of them further below."""
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("a")
    (folder / "b").write_text("b")


def test_the_check_finds_what_a_power_cut_would_take(disk, tmp_path):
    """A rename of what was not flushed, or whose folder is not, is a fault in the eyes of these tests."""
    fill(tmp_path / ".new")
    (tmp_path / ".new").rename(tmp_path / "new")
    assert disk.lost() == [
        f"{tmp_path}/.new/{name} before its rename" for name in ("", "b", "sub", "sub/a")
    ] + [f"{tmp_path} after the rename of new"]


def test_a_file_is_flushed_before_its_rename_and_its_folder_after(disk, tmp_path):
    """A document that is replaced is the old one or the new one, whole, whenever the power goes."""
    for content in (b"1", b"2"):
        write_bytes(tmp_path / "sub" / "file", content)
    write_json(tmp_path / "sub" / "file.json", {})
    ChannelFiles(tmp_path / "channels", "production").want(Wanted(1))
    assert [name.name for name in disk.renamed] == ["file", "file", "file.json", "production.json"]
    assert disk.lost() == []


def test_a_folder_is_flushed_with_all_that_is_in_it(disk, tmp_path):
    """Each file and each folder of what is published is on the disk before it is seen."""
    fill(tmp_path / ".new")
    publish(tmp_path / ".new", tmp_path / "new")
    assert disk.lost() == []
    assert (tmp_path / "new" / "sub" / "a").read_text() == "a"


def test_new_folders_are_flushed_into_those_above(disk, tmp_path):
    """The name of each folder that was made reaches the disk, from the top to the bottom."""
    make_folder(tmp_path / "a" / "b")
    assert disk.flushed == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert disk.flushed == [tmp_path, tmp_path / "a"]


def test_artifacts_and_versions(disk, tmp_path):
    """An artifact, a candidate's copy, a promotion, one to another disk and a way back lose nothing."""
    store = Store(tmp_path / "data", tmp_path / "models")
    key = make_key(modules=["tasks.store.files"], inputs={}, settings={})

    def work(folder):
        (folder / "a").write_text("a")

    made = store.folder(store.make("release", key, work))
    (made / "a").write_text("altered")
    made = store.folder(store.make("release", key, work))
    registry = Registry("m", tmp_path / "m", tmp_path / "candidates", tmp_path / "receipts")
    version = registry.add(made, combined_digest(file_digests(made)))
    registry.promote(version)
    registry.demote(version)
    named = [path.relative_to(tmp_path).as_posix() for path in disk.renamed if path.name != RECORD]
    folder = made.relative_to(tmp_path).as_posix()
    assert named == [folder, folder, "candidates/1", "m/1", "candidates/1"]
    disk.other = tmp_path / "m"
    registry.promote(version)
    assert (tmp_path / "m" / "1" / "a").read_text() == "a"
    assert disk.lost() == []


def test_the_history(disk, tmp_path):
    """A line is on the disk when it is written, and so is the name of the file."""
    History(tmp_path / "m" / "history.jsonl").append("exported", 1, "d", "test")
    assert disk.flushed == [tmp_path, tmp_path / "m" / "history.jsonl", tmp_path / "m"]


def renames(path):
    """Give the lines of a module on which it renames something."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("os", "shutil")
        if node.func.attr in ("rename", "renames", "move") or (
            # That of a text takes two arguments, that of a record or a time named ones.
            node.func.attr == "replace" and (of_module or (len(node.args) == 1 and not node.keywords))
        ):
            yield node.lineno


def test_only_one_module_renames():
    """Whatever is published goes the way that is tested here; what only goes aside is seen by nobody."""
    found = {
        path.relative_to(ROOT).as_posix()
        for name in FIRST_PARTY
        for path in (ROOT / name).rglob("*.py")
        if list(renames(path))
    }
    assert found == {
        "tasks/store/files.py",
        "tasks/store/store.py",  # puts aside what is replaced
        "tasks/channels/process.py",  # keeps the log of the server before
    }
