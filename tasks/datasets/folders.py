"""Pictures in folders that are named as their classes: which there are, before any is opened."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tasks.datasets.errors import Refused

SPLITS = ("train", "test")
_NOT_THE_USERS = ("__MACOSX",)  # what macOS puts into archives beside the hidden files


@dataclass(frozen=True)
class Picture:
    """A file that may be a picture; `split` is empty until a set is parted, `label` where it has none."""

    split: str
    label: str
    path: Path
    shown: str  # its path below the folder that was given, on one line


@dataclass
class Listed:
    """What a folder holds: the classes of each split, also empty ones, and the files in them."""

    called: str
    classes: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    hidden: int = 0
    strays: list[str] = field(default_factory=list)  # visible, and neither a class nor in one


def list_folder(given: Path, called: str, *, as_outliers: bool) -> Listed:
    """List a folder with train/ and test/, with a folder for each class, or with pictures alone.

    Folders within that of a class belong to it. Hidden files and folders are counted and passed over. Raises
    Refused, in which the folder is `called` so, for a link that leads out of it, and for a class whose name
    is no text.
    """
    root = given.resolve()
    listed = Listed(called)
    folders, files = _inside(root, root, listed)
    while not files and is_wrapping(folders, root):
        folders, files = _inside(folders[0], root, listed)  # an archive's one folder for all
    names = {path.name: path for path in folders}
    if as_outliers:
        _take_all(root, "test", "", [*files], folders, listed)
        listed.classes["test"] = []
    elif names.keys() & {*SPLITS}:
        if lacking := [split for split in SPLITS if split not in names]:
            raise Refused(f"{called}: has {'train' if 'train' in names else 'test'}/ and no {lacking[0]}/")
        listed.strays += [_shown(path, root) for path in [*folders, *files] if path.name not in SPLITS]
        for split in SPLITS:
            _take_classes(split, *_inside(names[split], root, listed), root, listed)
    elif folders:
        _take_classes("", folders, files, root, listed)
    else:
        _take_all(root, "test", "", files, [], listed)
        listed.classes["test"] = []
    return listed


def is_wrapping(folders: list[Path], root: Path) -> bool:
    """Tell whether the only folder there is one around a set, as archives have it, and not part of one."""
    if len(folders) != 1 or folders[0].name in SPLITS:
        return False
    return bool(_inside(folders[0], root, Listed(""))[0])


def _take_classes(split: str, folders: list[Path], files: list[Path], root: Path, listed: Listed) -> None:
    listed.strays += [_shown(path, root) for path in files]
    listed.classes[split] = []
    for folder in folders:
        if not is_text(folder.name) or not folder.name.isprintable():
            raise Refused(
                f"{listed.called}: {_shown(folder, root)}: the name of a class has to be text (UTF-8)"
            )
        listed.classes[split].append(folder.name)
        _take_all(root, split, folder.name, [], [folder], listed)


def _take_all(
    root: Path, split: str, label: str, files: list[Path], folders: list[Path], listed: Listed
) -> None:
    listed.pictures += [Picture(split, label, path, _shown(path, root)) for path in files]
    for folder in folders:
        inner_folders, inner_files = _inside(folder, root, listed)
        _take_all(root, split, label, inner_files, inner_folders, listed)


def _inside(folder: Path, root: Path, listed: Listed) -> tuple[list[Path], list[Path]]:
    """The visible folders and files in a folder, each in the order of their names."""
    folders, files = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _NOT_THE_USERS:
            listed.hidden += 1
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            called = f"{listed.called}: {_shown(path, root)}"
            raise Refused(f"{called}: a link that leads out of the folder, to {path.resolve()}")
        if path.is_dir():
            if path.is_symlink():
                raise Refused(
                    f"{listed.called}: {_shown(path, root)}: a link to a folder; put the folder itself there"
                )
            folders.append(path)
        else:
            files.append(path)
    return folders, files


def _shown(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    return name if is_text(name) and name.isprintable() else ascii(name)


def is_text(name: str) -> bool:
    """Tell whether a name of the file system is UTF-8."""
    try:
        os.fsencode(name).decode()
    except UnicodeDecodeError:
        return False
    return True


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Give the names of classes in the order in which they are numbered: numbers by their value."""
    if all(name.isascii() and name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
