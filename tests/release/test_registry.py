"""The registry of versions."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from settings.errors import WrongInput
from tasks.release.registry import Registry, copy_folder
from tasks.store.artifacts import combined_digest, file_digests


@pytest.fixture
def registry(tmp_path):
    models = tmp_path / "models"
    return Registry("mnist", models / "mnist", models / "candidates" / "mnist", models / "receipts" / "mnist")


@pytest.fixture
def release(tmp_path):
    """A function that makes a folder with the files of a release, and gives it with its digest."""

    def make(text: str) -> tuple[Path, str]:
        folder = tmp_path / "store" / text
        (folder / "variables").mkdir(parents=True)
        (folder / "variables" / "v").write_text(text)
        (folder / "record.json").write_text("{}")
        return folder, combined_digest(file_digests(folder))

    return make


def test_versions_grow_and_a_known_release_keeps_its_own(registry, release):
    """Each new release gets the next version; the same release again gets the one that it has."""
    first, second = release("a"), release("b")
    assert [registry.add(*first), registry.add(*second), registry.add(*first)] == [1, 2, 1]
    assert registry.digest(2) == second[1]
    assert not (registry.folder(1) / "record.json").exists()
    assert [event.event for event in registry.history.events()] == ["exported", "exported"]


def test_a_version_is_never_reused(registry, release, tmp_path):
    """A number whose folder was removed is not given to another release."""
    registry.add(*release("a"))
    registry.add(*release("b"))
    (registry.folder(2) / "variables" / "v").unlink()
    assert registry.add(*release("c")) == 3


def test_an_altered_version_is_not_trusted(registry, release):
    """A release whose version was altered gets a new version."""
    made = release("a")
    registry.add(*made)
    registry.promote(1)
    (registry.folder(1) / "variables" / "v").write_text("altered")
    assert registry.add(*made) == 2


def test_a_copy_without_a_line_is_taken_over(registry, release):
    """What a run killed between copy and line left is the version of that release, and of no other."""
    made, other = release("a"), release("b")
    copy_folder(made[0], registry.candidates / "1")
    assert [registry.add(*other), registry.add(*made), registry.add(*made)] == [2, 1, 1]
    assert [event.version for event in registry.history.events()] == [2, 1]
    assert sorted(registry.versions()) == [1, 2]


def test_promotion_is_a_move_and_back(registry, release):
    """A candidate stands among the releases after its promotion and nowhere else, and can go back."""
    registry.add(*release("a"))
    assert registry.folder(1) == registry.candidates / "1"
    registry.promote(1)
    registry.promote(1)
    assert registry.folder(1) == registry.releases / "1"
    assert not (registry.candidates / "1").exists()
    registry.demote(1)
    assert registry.folder(1) == registry.candidates / "1"


def test_promotion_to_another_disk_copies(registry, release, monkeypatch):
    """Where a rename across disks is refused, the release is copied whole, then the candidate goes."""
    made = release("a")
    registry.add(*made)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.parent == registry.candidates:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    registry.promote(1)
    assert registry.folder(1) == registry.releases / "1"
    assert registry.digest(1) == made[1]
    assert not (registry.candidates / "1").exists()


def test_what_a_killed_run_left_is_a_candidate_again(registry, release, caplog):
    """A version among the releases that was never in production, unless production wants it just now."""
    for text in ("a", "b", "c", "d"):
        registry.add(*release(text))
    for version in (1, 2, 3):
        registry.promote(version)
    registry.history.append("promoted", 1, registry.digest(1), "passed")
    (registry.releases / "9").mkdir()  # somebody else's, of which the history knows nothing
    assert registry.take_leftovers_back({3}) == [2]
    assert [registry.is_promoted(version) for version in (1, 2, 3, 4, 9)] == [True, False, True, False, True]
    (told,) = caplog.messages
    assert told.startswith("version 2 stood among the releases and was never in production")


def test_an_unknown_version_is_named_with_those_that_there_are(registry, release):
    """The error lists the versions that there are."""
    registry.add(*release("a"))
    with pytest.raises(WrongInput, match="there is no version 7 of mnist; there are: 1"):
        registry.folder(7)
