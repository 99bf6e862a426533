"""The versions of a model: candidates until they are judged, releases once they are promoted.

A release stands in `models/NAME/VERSION` only when it was judged fit for production, so a server that
takes the highest version there never serves a rejected one.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from settings.errors import WrongInput
from tasks.release.history import History
from tasks.store.artifacts import RECORD, combined_digest, file_digests
from tasks.store.files import aside, make_folder, publish
from tasks.store.lock import model_lock
from tasks.store.store import replace_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registry:
    """The folders of one model's versions, receipts and history."""

    name: str
    releases: Path  # models/NAME
    candidates: Path  # models/candidates/NAME
    receipts: Path  # models/receipts/NAME
    who: str = ""  # does what is written into the history; the account of this process where none is named

    @property
    def history(self) -> History:
        """The events of this model."""
        return History(self.releases / "history.jsonl", self.who)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the model's lock: production's document, the releases and the history change under it."""
        return model_lock(self.releases)

    def add(self, release: Path, digest: str) -> int:
        """Give the version of a release; a new one, and a copy among the candidates, where it has none.

        A version whose files were altered is not reused: the release gets a new one. A candidate that no
        event names is the copy of a run that was killed before it wrote its line: it is taken over.
        """
        events, versions = self.history.events(), self.versions()
        known = {event.version for event in events if event.digest == digest} & versions.keys()
        for version in sorted(known, reverse=True):
            if self.digest(version) == digest:
                return version
        named = {event.version for event in events}
        for version in sorted(versions.keys() - named):
            if not self.is_promoted(version) and self.digest(version) == digest:
                break
        else:
            version = 1 + max({*versions, *named}, default=0)
            copy_folder(release, self.candidates / str(version))
        self.history.append("exported", version, digest, "a new release")
        return version

    def versions(self) -> dict[int, Path]:
        """Give the folders of all versions, promoted ones and candidates."""
        return {
            int(path.name): path
            for home in (self.candidates, self.releases)
            if home.is_dir()
            for path in home.iterdir()
            if path.name.isdecimal()
        }

    def folder(self, version: int) -> Path:
        """Give the folder of a version; WrongInput names those that there are, and who pruned this one."""
        versions = self.versions()
        if version not in versions:
            known = ", ".join(map(str, sorted(versions))) or "none"
            if (pruned := self.history.last("pruned", version)) is not None:
                raise WrongInput(
                    f"version {version} of {self.name} was pruned by {pruned.who} at {pruned.at} "
                    f"({pruned.why}); there are: {known}"
                )
            raise WrongInput(f"there is no version {version} of {self.name}; there are: {known}")
        return versions[version]

    def digest(self, version: int) -> str:
        """Give the digest of a version's files, as they are now."""
        return combined_digest(file_digests(self.folder(version)))

    def is_promoted(self, version: int) -> bool:
        """Tell whether a version stands among the releases."""
        return (self.releases / str(version)).is_dir()

    def promote(self, version: int) -> None:
        """Move a candidate among the releases; nothing to do for one that is there."""
        if not self.is_promoted(version):
            move_folder(self.folder(version), self.releases / str(version))

    def restore(self, version: int, release: Path) -> None:
        """Put the files of a release, which are whole, in the place of a version's that were damaged."""
        copy_folder(release, self.folder(version))

    def before(self, version: int) -> int:
        """Give the version that production would go back to from this one; 0 where there is none."""
        served = self.history.served()
        earlier = served[: served.index(version)] if version in served else served
        return next((each for each in reversed(earlier) if self.is_promoted(each)), 0)

    def demote(self, version: int) -> None:
        """Move a release back among the candidates: its rollout failed."""
        if self.is_promoted(version):
            move_folder(self.releases / str(version), self.candidates / str(version))

    def take_leftovers_back(self, wanted: Collection[int]) -> list[int]:
        """Move versions back among the candidates that were never in production; give which they were.

        A run that was killed between the renaming and the rollout leaves one. Not `wanted` by production nor
        known by the history as served, it stands where only what was served may stand. A folder that the
        history does not know at all was put there by somebody else, and stays. To be called under the lock.
        """
        events = self.history.events()
        ours = {event.version for event in events if event.event == "exported"}
        leftovers = sorted(ours - self.history.promoted() - set(wanted))
        found = [version for version in leftovers if self.is_promoted(version)]
        for version in found:
            self.demote(version)
            logger.warning(
                "version %s stood among the releases and was never in production, as a killed run leaves it: "
                "it is a candidate again",
                version,
            )
        return found


def copy_folder(source: Path, target: Path) -> None:
    """Copy an artifact's files, without its record, over what is there; the copy is seen when it is whole."""
    make_folder(target.parent)
    temporary = aside(target)
    try:
        shutil.copytree(source, temporary, ignore=shutil.ignore_patterns(RECORD))
        replace_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder; where the target is on another disk, copy it aside, rename, and remove the source."""
    make_folder(target.parent)
    try:
        publish(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_folder(source, target)
        shutil.rmtree(source)
