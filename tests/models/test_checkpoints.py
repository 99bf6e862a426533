"""Arrays as files."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tasks.models.checkpoints import load_checkpoint, read_arrays, save_checkpoint, write_arrays
from tasks.store.files import ASIDE


@pytest.fixture
def state() -> dict[str, np.ndarray]:
    return {"step": np.array(3), "kernel_1/0": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_equal_arrays_give_equal_bytes(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    """No time of writing is in the file."""
    write_arrays(tmp_path / "a.npz", state)
    write_arrays(tmp_path / "b.npz", {name: values.copy() for name, values in state.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert not list(tmp_path.glob(f"{ASIDE}*"))


def test_what_was_kept_comes_back(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    """A checkpoint has the arrays that were given, in a folder that is made for it."""
    save_checkpoint(tmp_path / "new" / "folder", state)
    kept = load_checkpoint(tmp_path / "new" / "folder", state)
    assert kept is not None
    assert kept.keys() == state.keys()
    np.testing.assert_array_equal(kept["kernel_1/0"], state["kernel_1/0"])


def test_there_may_be_none(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    """A folder that does not exist holds no checkpoint, and is not made by looking."""
    assert load_checkpoint(tmp_path / "none", state) is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kept_bytes", [0, 20, 400])
def test_a_damaged_checkpoint_is_said_and_not_used(
    tmp_path: Path, state: dict[str, np.ndarray], kept_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is cut short means to start anew, with a warning that names it."""
    save_checkpoint(tmp_path, state)
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(tmp_path, state) is None
    assert str(path) in caplog.text


def test_a_flipped_byte_is_seen(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    """The values carry a checksum."""
    save_checkpoint(tmp_path, state)
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float32(5).tobytes(), np.float32(7).tobytes()))
    assert path.read_bytes() != content
    assert load_checkpoint(tmp_path, state) is None


def test_a_checkpoint_of_another_training_is_not_used(
    tmp_path: Path, state: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    """Other shapes mean to start anew."""
    save_checkpoint(tmp_path, state)
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(tmp_path, state | {"kernel_1/0": np.zeros((2, 4), np.float32)}) is None
    assert "another training" in caplog.text


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the rename, whoever opens the file finds the old content whole."""
    write_arrays(tmp_path / "a.npz", {"a": np.array(1)})

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a.npz", {"a": np.array(2)})
    assert read_arrays(tmp_path / "a.npz")["a"] == 1
