"""Adding a set of a user: read once, parted where it has to be, checked, and kept below the data's root."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from settings.errors import Surroundings
from tasks.datasets.arrays_found import IDX, Arrays, Part, as_one_set, open_idx, open_npy, open_npz
from tasks.datasets.errors import Refused
from tasks.datasets.folders import Listed, in_order, list_folder
from tasks.datasets.found import Content, Found, Pictures
from tasks.datasets.own import CONTENT, SET, OwnSet, content_folder, own_set
from tasks.datasets.parting import arranged, check_classes, counted, part, set_digest
from tasks.datasets.unpacking import unpack
from tasks.store.files import ASIDE, aside, make_folder, publish, remove_folder, sha256_of, write_json

logger = logging.getLogger(__name__)

_ZIP, _NPY, _IDX = b"PK\x03\x04", b"\x93NUMPY", b"\x00\x00\x08"


@dataclass(frozen=True)
class Options:
    """What a user says of a set: how it is parted, whether labels count, what may be unreadable."""

    test_share: float | None = None
    seed: int = 1
    outliers: bool = False
    unreadable: float = 0.01
    arrays: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """A set that was read and is kept aside, until it is published or dropped."""

    described: OwnSet
    folder: Path


def read_set(
    name: str, given: Path, work: Path, *, options: Options, source: str, should_stop: Callable[[], bool]
) -> Added:
    """Read what a user has at `given`, and keep it in the folder `work`, which is there and empty.

    `source` is where it is from, for errors and notes. Raises Refused with one line for what cannot be a set.
    """
    content: Content
    content = opened = open_content(given, work, options, source, should_stop)
    found = content.read(should_stop)
    classes = classes_of(found, options, source)
    if "" in found.classes and classes:
        found.rows = part(found.rows, options.test_share or 0.0, options.seed)
    rows = arranged(found.rows, classes)
    digest = set_digest(rows, classes)
    kept = work / content_folder(digest)
    kept.mkdir()
    content.write(rows, classes, kept)
    parted = "" in found.classes and options.test_share
    described = OwnSet(
        name=name,
        kind="pictures" if opened.kind == "pictures" else "arrays",
        digest=digest,
        files={path.name: sha256_of(path) for path in sorted(kept.iterdir())},
        classes=classes,
        counts=counted(rows, classes),
        shape=found.shape,
        differs=found.differs,
        dtype=found.dtype,
        low=found.low,
        high=found.high,
        parted={"test_share": options.test_share or 0.0, "seed": options.seed} if parted else None,
        unreadable=tuple(found.unreadable),
        remarks=tuple(found.remarks),
        source=source,
        added_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Added(described, kept)


def classes_of(found: Found, options: Options, source: str) -> tuple[str, ...]:
    """Give the classes by their number, none for outliers; Refused for what nothing can be learnt from."""
    if not any(found.classes.values()) and {*found.classes} == {"test"}:
        if options.test_share:
            raise Refused(f"{source}: has no folder of a class, and so nothing that --test-share could part")
        if not found.rows:
            raise Refused(f"{source}: holds no folder of a class, and no picture")
        return ()
    if "" in found.classes:
        if not options.test_share:
            raise Refused(
                f"{source}: has classes, and neither train nor test: --test-share 0.2 parts it, --outliers "
                "takes it for an outlier set without classes"
            )
    elif options.test_share:
        raise Refused(f"{source}: has train and test already; --test-share parts what has neither")
    check_classes(found.classes, found.rows, source)
    names = {name for names in found.classes.values() for name in names}
    numbered = [*next(iter(found.classes.values()))]
    return tuple(numbered) if {*numbered} == names and found.keeps_order else in_order(names)


def open_content(
    given: Path, work: Path, options: Options, source: str, should_stop: Callable[[], bool]
) -> Pictures | Arrays:
    """Open what is at a path: a folder of pictures or IDX files, an archive of one, or a file of arrays."""
    if given.is_dir():
        return open_folder(given, work, options, source, should_stop)
    if not given.is_file():
        raise Refused(f"{source}: there is no such file or folder")
    with given.open("rb") as file:
        start = file.read(8)
    name = given.name.lower()
    if name.endswith(".npz"):
        return labelled(open_npz(given, work, options.arrays, source), options)
    if start.startswith(_NPY):
        array = Part("test", open_npy(given, source), None, given.name)
        return Arrays(as_one_set([array], source), None, source)
    if start.startswith(_IDX) or IDX.fullmatch(given.name):
        return labelled(open_idx([given], work, source, should_stop), options)
    if start.startswith(_ZIP) or name.endswith((".tar.gz", ".tgz", ".tar")):
        folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=work))
        unpack(given, folder, source, should_stop)
        return open_folder(folder, work, options, source, should_stop)
    raise Refused(f"{source}: neither a folder nor .tar.gz, .tgz, .zip, .npz, .npy or an IDX file")


def open_folder(
    folder: Path, work: Path, options: Options, source: str, should_stop: Callable[[], bool]
) -> Pictures | Arrays:
    """Open a folder of IDX files, or of pictures."""
    inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    while len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        inside = [path for path in sorted(inside[0].iterdir()) if not path.name.startswith(".")]
    if files := [path for path in inside if IDX.fullmatch(path.name) and path.is_file()]:
        return labelled(open_idx(files, work, source, should_stop), options)
    listed: Listed = list_folder(folder, source, as_outliers=options.outliers)
    return Pictures(listed, source, options.unreadable)


def labelled(arrays: Arrays, options: Options) -> Arrays:
    """Leave the labels out where all rows are to be outliers."""
    return arrays.without_labels() if options.outliers else arrays


def publish_set(added: Added, data_root: Path, *, replace: bool) -> bool:
    """Put what was read into its place below the data's root; gives whether anything changed.

    The caller holds the lock of the datasets. Whoever looks sees the set of before or the new one whole.
    Raises Refused where another set of the name is there, unless it is to be replaced, and Surroundings where
    what is known of it is damaged.
    """
    described = added.described
    home = data_root / described.name
    if home.exists() and not (home / SET).exists() and any(map(is_foreign, home.iterdir())):
        raise Refused(f"{home} is there, and is no set that was added: name yours otherwise")
    before = None
    try:
        before = own_set(data_root, described.name)
    except Surroundings:  # damaged
        if not replace:
            raise
    if before is not None and before.digest == described.digest and is_whole(before, home):
        return False
    if before is not None and before.digest != described.digest and not replace:
        raise Refused(
            f"there is a set {described.name} already, with other content (added {before.added_at} from "
            f"{before.source}): --replace puts this one in its place"
        )
    make_folder(home)
    target = described.content(home)
    remove_folder(target)
    publish(added.folder, target)
    write_json(home / SET, described.model_dump(mode="json"))
    for path in home.glob(f"{CONTENT}*"):
        if path != target:
            remove_folder(path)
    return True


def is_foreign(path: Path) -> bool:
    """Tell whether a file in the folder of a set is none that an adding which was killed left there."""
    return not path.name.startswith((CONTENT, ASIDE))


def is_whole(described: OwnSet, home: Path) -> bool:
    """Tell whether the files of a set are there as they were added."""
    folder = described.content(home)
    return all(
        (folder / name).is_file() and sha256_of(folder / name) == digest
        for name, digest in described.files.items()
    )


def remove_set(data_root: Path, name: str) -> None:
    """Remove a set with all that was decoded of it; the caller holds the lock of the datasets."""
    remove_folder(data_root / name)


def workroom(data_root: Path, name: str) -> Path:
    """Make the folder in which a set is read, beside its place: swept when its writer is dead."""
    make_folder(data_root)
    work = aside(data_root / name)
    work.mkdir()
    return work


def clear(work: Path) -> None:
    """Remove the folder in which a set was read."""
    shutil.rmtree(work, ignore_errors=True)
