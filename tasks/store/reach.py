"""What in the store was made of what, and so what nobody needs any more.

A record tells the digests of an artifact's inputs. From the releases that stay everything is marked that they
were made of, and what was asked of them and judged; what is not marked may go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.store.artifacts import Record, read_record
from tasks.store.store import Store

TRAINED = ("classifier", "concept")
SPARE_DAYS = 7  # a training that no release was made of yet, as of a delivery that was stopped, is spared
INPUT = "input "


@dataclass(frozen=True)
class Stored:
    """An artifact in the store, with its record."""

    folder: Path
    record: Record

    @property
    def is_dataset(self) -> bool:
        """Whether it is under the data's root, which other models share."""
        return self.record.kind.startswith("dataset/")

    @property
    def inputs(self) -> set[str]:
        """The digests of what it was made of."""
        return {digest for part, digest in self.record.parts.items() if part.startswith(INPUT)}

    @property
    def age(self) -> tuple[str, str]:
        """What orders the artifacts of a kind: the newest is the last."""
        return (self.record.made_at, self.folder.name)


def everything(store: Store, datasets: Iterable[str]) -> list[Stored]:
    """Give all artifacts that are whole enough to have a record; `datasets` are the names to look for."""
    homes = [store.dataset_home(name) for name in datasets]
    family = store.models_root / "store"
    homes += [path for path in family.iterdir() if path.is_dir()] if family.is_dir() else []
    return [Stored(folder, record) for home in homes for folder, record in records_in(home)]


def records_in(home: Path) -> Iterator[tuple[Path, Record]]:
    """Give the artifacts of one kind with their records."""
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if folder.is_dir() and (record := read_record(folder)) is not None:
            yield folder, record


def marked(stored: Collection[Stored], releases: Collection[str]) -> list[Stored]:
    """Give what has to stay for the releases of these digests, and what is at hand for the next delivery.

    Of artifacts of one kind that are the same, made by different code, say, the newest is the one that stays.
    """
    newest: dict[tuple[str, str], Stored] = {}
    for each in sorted(stored, key=lambda each: each.age):
        newest[each.record.kind, each.record.digest] = each
    by_digest: dict[str, list[Stored]] = defaultdict(list)
    for each in newest.values():
        by_digest[each.record.digest].append(each)
    stay: dict[Path, Stored] = {}
    waiting = [each for digest in releases for each in by_digest[digest]]
    for each in stored:
        if each.record.parts.get(f"{INPUT}release") in releases:  # scores and verdicts
            stay[each.folder] = each
            waiting += [made for digest in each.inputs for made in by_digest[digest] if made.is_dataset]
    waiting += latest_datasets(stored)
    waiting += [each for each in stored if each.record.kind in TRAINED and is_unused(each, stored)]
    while waiting:
        each = waiting.pop()
        if each.folder not in stay:
            stay[each.folder] = each
            waiting += [made for digest in each.inputs for made in by_digest[digest]]
    return list(stay.values())


def latest_datasets(stored: Iterable[Stored]) -> list[Stored]:
    """Give the newest artifact of each dataset."""
    ordered = sorted((each for each in stored if each.is_dataset), key=lambda each: each.age)
    return list({each.record.kind: each for each in ordered}.values())


def is_unused(training: Stored, stored: Iterable[Stored]) -> bool:
    """Tell whether a training is young, and nothing was made of it yet."""
    made_at = datetime.fromisoformat(training.record.made_at)
    if made_at < datetime.now(UTC) - timedelta(days=SPARE_DAYS):
        return False
    return not any(training.record.digest in each.inputs for each in stored)


def size_of(path: Path) -> int:
    """Give the bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())
    return path.lstat().st_size
