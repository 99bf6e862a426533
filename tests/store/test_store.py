"""The store: an artifact is there whole and unaltered, or not at all."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from settings.errors import Surroundings
from tasks.store.files import ASIDE, aside
from tasks.store.keys import Key, make_key
from tasks.store.store import Store
from tasks.store.sweep import sweep


@pytest.fixture
def store(tmp_path):
    return Store(data_root=tmp_path / "data", models_root=tmp_path / "models")


def some_key(value: int = 1) -> Key:
    return make_key(modules=["tasks.store.files"], inputs={}, settings={"value": value})


def write(text: str):
    def work(folder: Path):
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text(text)
        (folder / "b.txt").write_text("b")
        return {"source": "made by a test"}

    return work


def never(folder: Path):
    raise AssertionError("this artifact is there: it must not be made again")


def test_an_artifact_is_made_once(store):
    """The second call gives the same reference without making anything."""
    made = store.make("classifier", some_key(), write("a"))
    assert store.make("classifier", some_key(), never) == made
    assert store.find("classifier", some_key()) == made
    assert (store.folder(made) / "sub" / "a.txt").read_text() == "a"
    assert store.record(made).notes == {"source": "made by a test"}


def test_the_digest_is_of_the_content_alone(store):
    """Equal files under another key have the same digest, whatever notes and times say."""
    first = store.make("classifier", some_key(1), write("a"))
    second = store.make("classifier", some_key(2), write("a"))
    third = store.make("classifier", some_key(3), write("other"))
    assert first.path != second.path
    assert first.digest == second.digest != third.digest


def alter(path: Path) -> None:
    path.write_text("altered")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: alter(folder / "sub" / "a.txt"),
        lambda folder: (folder / "b.txt").unlink(),
        lambda folder: (folder / "more.txt").write_text("more"),
        lambda folder: (folder / "record.json").unlink(),
        lambda folder: alter(folder / "record.json"),
        lambda folder: (folder / "b.txt").rename(folder / "c.txt"),
    ],
    ids=["altered", "deleted", "added", "no record", "broken record", "renamed"],
)
def test_a_harmed_artifact_is_no_hit_and_is_made_again(store, harm):
    """A missing, altered or added file makes the artifact unfit; it is replaced by a whole one."""
    made = store.make("classifier", some_key(), write("a"))
    harm(store.folder(made))
    assert store.find("classifier", some_key()) is None
    assert store.make("classifier", some_key(), write("a")) == made
    assert store.find("classifier", some_key()) == made


def test_a_failed_making_leaves_nothing(store):
    """What fails half-way is not seen, and nothing of it stays."""

    def work(folder: Path):
        (folder / "half.txt").write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.make("classifier", some_key(), work)
    assert store.find("classifier", some_key()) is None
    assert list(store.home("classifier").iterdir()) == []


def die_half_way(store: Store) -> None:
    def work(folder: Path):
        (folder / "half.txt").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    store.make("classifier", some_key(), work)


def test_a_killed_making_is_swept(store):
    """What a killed process left is not seen, and the next sweep removes it."""
    process = multiprocessing.get_context("spawn").Process(target=die_half_way, args=(store,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (left,) = store.home("classifier").iterdir()
    assert left.name.startswith(ASIDE)
    assert store.find("classifier", some_key()) is None
    assert sweep(store) == [left]
    assert list(store.home("classifier").iterdir()) == []


@pytest.mark.parametrize("name", [".aside-x", ".aside-", ".aside-0123abcd-99999999-note", ".aside-old/a.txt"])
def test_the_sweep_leaves_alone_what_others_made(store, name):
    """A file whose name only begins like that of an unfinished one is nobody's to remove, however old."""
    path = store.data_root / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    os.utime(path, (0, 0))
    left = store.data_root / "set" / aside(store.data_root).name.replace(f"-{os.getpid()}-", "-99999999-")
    left.mkdir(parents=True)
    assert sweep(store) == [left]
    assert path.read_text() == "mine"


def test_the_sweep_spares_the_living_and_young_checkpoints(store):
    """A folder that this process is filling stays, and so do checkpoints of the last seven days."""
    key = some_key()
    young, old = store.checkpoints("classifier", key), store.checkpoints("concept", key)
    for folder in (young, old):
        folder.mkdir(parents=True)
        (folder / "weights.npz").write_text("w")
    for path in (old / "weights.npz", old):
        os.utime(path, (0, 0))

    def work(folder: Path):
        (folder / "a.txt").write_text("a")
        assert sweep(store) == [old]
        assert young.is_dir()

    store.make("classifier", key, work)
    assert not young.exists(), "checkpoints go when their artifact is published"


def test_why_tells_what_changed(store, caplog):
    """The log says which setting changed since the newest artifact of the kind."""
    with caplog.at_level(logging.INFO):
        store.make("classifier", some_key(1), write("a"))
        store.make("classifier", some_key(2), write("a"))
    assert "made for the first time" in caplog.messages[0]
    assert "setting value: 1 → 2" in caplog.messages[1]


def test_a_dataset_may_have_a_home_of_its_own(tmp_path):
    """A dataset's artifacts are in its own folder where the settings name one."""
    store = Store(tmp_path / "data", tmp_path / "models", {"mnist": tmp_path / "elsewhere"})
    made = store.make("dataset/mnist", some_key(), write("a"))
    other = store.make("dataset/fashion-mnist", some_key(), write("a"))
    assert store.folder(made).parent == tmp_path / "elsewhere"
    assert store.folder(other).parent == tmp_path / "data" / "fashion-mnist"


def test_nothing_is_kept_that_was_made_while_its_code_was_edited(store, tmp_path, monkeypatch):
    """A result that may be of either code is refused by the module's name; a new comment is no edit."""
    from tasks.store import code

    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "_examine", functools.cache(code._read))
    (tmp_path / "tasks").mkdir()
    module = tmp_path / "tasks" / "step.py"
    module.write_text("VALUE = 1\n")
    key = make_key(modules=["tasks.step"], inputs={}, settings={})

    def edit(text: str):
        def work(folder: Path):
            module.write_text(text)
            (folder / "a.txt").write_text("a")

        return work

    with pytest.raises(Surroundings, match=r"tasks\.step was edited while classifier was made"):
        store.make("classifier", key, edit("VALUE = 22\n"))
    assert store.find("classifier", key) is None
    made = store.make("classifier", key, edit("VALUE = 1  # the first\n"))
    assert store.find("classifier", key) == made
