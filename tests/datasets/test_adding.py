"""Sets of pictures, from folders and archives to the arrays of a delivery."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from settings.errors import Stopped, Surroundings, WrongInput
from tasks.datasets.adding import Options, publish_set, read_set
from tasks.datasets.arrays import load
from tasks.datasets.errors import Refused
from tasks.datasets.own import SET, OwnSet, own_set
from tasks.datasets.stored import decode_set

RANDOM = np.random.default_rng(11)
SHAPE = (6, 5, 3)
CLASSES = {"cat": 10, "dog": 20}


def picture(folder: Path, name: str, pixels: np.ndarray) -> np.ndarray:
    """Write a PNG file, and give what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name, "PNG")
    return pixels


def colours(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape or SHAPE, np.uint8)


@pytest.fixture
def parted(tmp_path: Path) -> tuple[Path, dict[tuple[str, str], list[np.ndarray]]]:
    """A folder with train/ and test/, and its pictures by split and class."""
    folder = tmp_path / "pets"
    held = {
        (split, label): [
            picture(folder / split / label, f"{number}.png", colours())
            for number in range(count // (1 + (split == "test")))
        ]
        for split in ("train", "test")
        for label, count in CLASSES.items()
    }
    return folder, held


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder with a folder for each class alone."""
    for label, count in CLASSES.items():
        for number in range(count):
            picture(tmp_path / "flat" / label, f"{number}.png", colours())
    return tmp_path / "flat"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., OwnSet]:
    """A function that adds what is at a path below DATA, as the set `own`."""

    def add(
        given: Path, *, replace: bool = False, should_stop: Callable[[], bool] = lambda: False, **how: Any
    ) -> OwnSet:
        work = tmp_path / "work"
        work.mkdir()
        try:
            added = read_set(
                "own", given, work, options=Options(**how), source="PATH", should_stop=should_stop
            )
            publish_set(added, tmp_path / "DATA", replace=replace)
        finally:
            shutil.rmtree(work)
        return added.described

    return add


def decoded(tmp_path: Path, shape: tuple[int, ...] | None = None) -> tuple[Path, dict[str, Any]]:
    """Give the arrays of the set `own`, and the notes on it."""
    own = own_set(tmp_path / "DATA", "own")
    assert own is not None
    folder = tmp_path / "arrays"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder, decode_set(own, tmp_path / "DATA" / "own", folder, shape, lambda: False)


def content(folder: Path, split: str) -> list[tuple[int, bytes]]:
    """Give the rows of a split with their labels, in an order of their own."""
    kept = load(folder, split)
    labels = kept.known_labels()
    return sorted((int(label), row.tobytes()) for label, row in zip(labels, kept.images, strict=True))


def test_train_and_test(read: Any, parted: Any, tmp_path: Path) -> None:
    """Every picture is in its split under the number of its class, byte for byte."""
    folder, held = parted
    described = read(folder)
    assert described.counts == {"train": {"cat": 10, "dog": 20}, "test": {"cat": 5, "dog": 10}}
    shutil.rmtree(folder)  # what happens there afterwards changes nothing
    arrays, notes = decoded(tmp_path)
    for split in ("train", "test"):
        expected = sorted(
            (number, pixels.tobytes())
            for number, label in enumerate(CLASSES)
            for pixels in held[split, label]
        )
        assert content(arrays, split) == expected
    assert notes["description"] == {
        "shape": list(SHAPE),
        "classes": ["cat", "dog"],
        "dtype": "uint8",
        "low": 0.0,
        "high": 255.0,
    }
    assert notes["images"] == {"train": 30, "test": 15}
    assert json.loads(json.dumps(notes)) == notes


def test_the_last_training_rows_are_of_every_class(read: Any, parted: Any, tmp_path: Path) -> None:
    """They are held out for the threshold: an order by folders would make them dogs alone."""
    read(parted[0])
    labels = load(decoded(tmp_path)[0], "train").known_labels()
    assert {*labels[-15:].tolist()} == {0, 1}


def test_the_digest_is_of_the_content(read: Any, parted: Any, tmp_path: Path) -> None:
    """Other names, another compression, a folder more and an archive change nothing, arrays included."""
    folder, _ = parted
    first = read(folder)
    arrays = [path.read_bytes() for path in sorted(decoded(tmp_path)[0].iterdir())]
    other = tmp_path / "other" / "pets-v2"
    for number, path in enumerate(sorted(folder.rglob("*.png"), reverse=True)):
        split, label, _ = path.relative_to(folder).parts
        target = other / split / label / "more"
        target.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as opened:
            opened.save(target / f"x{number}.PNG", "PNG", compress_level=0)
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "other", "everything")
    shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "other")
    for given in (other, tmp_path / "pets.tar.gz", tmp_path / "pets.zip"):
        again = read(given, replace=True)
        assert (again.digest, again.counts) == (first.digest, first.counts)
    shutil.rmtree(tmp_path / "DATA")
    read(tmp_path / "pets.zip")
    assert [path.read_bytes() for path in sorted(decoded(tmp_path)[0].iterdir())] == arrays


def test_another_pixel_is_another_digest(read: Any, parted: Any) -> None:
    """So is another class of the same pictures."""
    folder, held = parted
    first = read(folder)
    changed = held["train", "cat"][3].copy()
    changed[0, 0, 0] ^= 1
    picture(folder / "train" / "cat", "3.png", changed)
    second = read(folder, replace=True)
    (folder / "train" / "cat").rename(folder / "train" / "eel")
    (folder / "test" / "cat").rename(folder / "test" / "eel")
    third = read(folder, replace=True)
    assert len({first.digest, second.digest, third.digest}) == 3


def test_parting(read: Any, flat: Path, tmp_path: Path) -> None:
    """A share of each class tests, and how it was parted stays with the set."""
    described = read(flat, test_share=0.2, seed=3)
    assert described.counts == {"train": {"cat": 8, "dog": 16}, "test": {"cat": 2, "dog": 4}}
    assert described.parted == {"test_share": 0.2, "seed": 3}
    arrays, _ = decoded(tmp_path)
    assert not {*content(arrays, "train")} & {*content(arrays, "test")}
    assert len(content(arrays, "train")) + len(content(arrays, "test")) == 30


def test_outliers(read: Any, flat: Path, tmp_path: Path) -> None:
    """Pictures without classes, or with those that do not count, are test rows without labels."""
    for folder, how in ((flat, {"outliers": True}), (flat / "cat", {})):
        described = read(folder, replace=True, **how)
        count = 30 if how else 10
        assert (described.classes, described.counts) == ((), {"test": {"": count}})
        arrays, notes = decoded(tmp_path)
        split = load(arrays, "test")
        assert (len(split.images), split.labels) == (count, None)
        assert notes["description"]["classes"] == []


def test_classes_that_are_numbers_are_numbered_by_their_value(read: Any, tmp_path: Path) -> None:
    """10 comes after 9."""
    for label in ("10", "9", "0"):
        for number in range(2):
            picture(tmp_path / "numbers" / label, f"{number}.png", colours())
    assert read(tmp_path / "numbers", test_share=0.5).classes == ("0", "9", "10")


def test_grey_beside_colours(read: Any, parted: Any, tmp_path: Path) -> None:
    """All become colours, and it is said; grey alone stays grey."""
    folder, _ = parted
    grey = picture(folder / "train" / "cat", "grey.png", colours(6, 5))
    described = read(folder)
    assert described.shape == SHAPE
    assert "1 grey beside colours: all are in colours" in described.remarks
    assert (0, np.repeat(grey[..., None], 3, axis=2).tobytes()) in content(decoded(tmp_path)[0], "train")
    for path in folder.rglob("*.png"):
        picture(path.parent, path.name, colours(6, 5))
    assert read(folder, replace=True).shape == (6, 5)


def test_a_shape(read: Any, parted: Any, tmp_path: Path) -> None:
    """Pictures of differing size are added, refused by a delivery without a shape, and brought to one."""
    folder, _ = parted
    picture(folder / "test" / "dog", "wide.png", colours(4, 9, 3))
    described = read(folder)
    assert described.shape is None
    assert described.differs == "test/dog/wide.png is 4 x 9, train/cat/0.png is 6 x 5"
    with pytest.raises(WrongInput, match=r"the pictures of own differ in size \(test/dog/wide\.png is 4 x 9"):
        decoded(tmp_path)
    for shape in ((8, 8, 3), (7, 6), (5, 5, 1)):
        arrays, notes = decoded(tmp_path, shape)
        assert load(arrays, "test").images.shape == (16, *shape)
        assert tuple(notes["description"]["shape"]) == shape


def test_what_is_hidden_or_astray_is_passed_over_and_told(read: Any, parted: Any, tmp_path: Path) -> None:
    """What desktops leave is no picture and no class; neither is what lies beside the classes."""
    folder, _ = parted
    first = read(folder)
    for hidden in (".DS_Store", "train/.cache/x.png", "train/cat/._1.png", "__MACOSX/x.png"):
        (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
        (folder / hidden).write_bytes(b"x")
    (folder / "README.txt").write_text("read me")
    (folder / "train" / "labels.csv").write_text("a,b")
    shutil.copytree(folder / "test", folder / "more")
    described = read(folder)
    assert described.digest == first.digest
    assert described.remarks == (
        "4 hidden files and folders are passed over",
        "3 beside the classes are passed over, as more",
    )


def test_the_unreadable_are_left_out_up_to_a_share(read: Any, parted: Any, tmp_path: Path) -> None:
    """Each is named with the reason; more than the share ends the adding, with the first."""
    folder, _ = parted
    first = read(folder)
    (folder / "train" / "cat" / "broken.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(folder / "train" / "dog" / "deep.png")
    with pytest.raises(Refused) as refused:
        read(folder)
    assert str(refused.value) == (
        "PATH: 2 of 47 files cannot be read, more than --unreadable 0.01 allows; the first is "
        "train/cat/broken.png: not a PNG or JPEG picture"
    )
    described = read(folder, unreadable=0.05)
    assert described.digest == first.digest
    assert [(each.file, each.reason) for each in described.unreadable] == [
        ("train/cat/broken.png", "not a PNG or JPEG picture"),
        ("train/dog/deep.png", "16 bits per channel; only 8 are read"),
    ]


def test_what_was_done_to_pictures_is_told(read: Any, parted: Any) -> None:
    """A line for each kind of change, with how many there were."""
    folder, _ = parted
    for number in range(2):
        Image.fromarray(colours()).quantize(8).save(folder / "train" / "cat" / f"palette{number}.png")
    Image.new("RGBA", (5, 6)).save(folder / "train" / "dog" / "alpha.png")
    assert read(folder).remarks == (
        "1 transparent, laid on black",
        "2 with a palette, brought to colours",
    )


NO_TEXT = os.fsdecode(b"caf\xe9")


def test_a_picture_whose_name_is_no_text_is_unreadable(read: Any, parted: Any) -> None:
    """It is left out under a name that can be written down."""
    folder, _ = parted
    picture(folder / "train" / "cat", NO_TEXT + ".png", colours())
    (left_out,) = read(folder, unreadable=0.1).unreadable
    assert left_out.file == r"'train/cat/caf\udce9.png'"
    assert left_out.reason == "its name is no text (UTF-8)"


def test_a_line_break_in_a_name_stays_on_one_line(read: Any, parted: Any) -> None:
    """A file may be called so; what is told of it does not look like two files."""
    folder, _ = parted
    (folder / "train" / "cat" / "a\nb.png").write_bytes(b"")
    with pytest.raises(Refused, match=r"the first is 'train/cat/a\\nb\.png': empty file"):
        read(folder)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def link_out(folder: Path) -> None:
    (folder / "train" / "cat" / "linked.png").symlink_to("/etc/passwd")


def link_folder_out(folder: Path) -> None:
    (folder / "train" / "linked").symlink_to("/etc")


def unlabelled(folder: Path) -> None:
    empty(folder)
    (folder / "train").mkdir()
    (folder / "test").mkdir()


BAD: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "nothing": (lambda folder: shutil.rmtree(folder), {}, "PATH: there is no such file or folder"),
    "empty": (empty, {}, "PATH: holds no folder of a class, and no picture"),
    "no class folder": (unlabelled, {}, "PATH: train/ holds no folder of a class"),
    "no test": (lambda folder: shutil.rmtree(folder / "test"), {}, "PATH: has train/ and no test/"),
    "one class": (
        lambda folder: [shutil.rmtree(folder / split / "dog") for split in ("train", "test")],
        {},
        "PATH: holds one class alone, 'cat'; a classifier needs two or more",
    ),
    "an empty class": (
        lambda folder: empty(folder / "test" / "dog"),
        {},
        "PATH: the class 'dog' is empty in test/",
    ),
    "a class that the other split lacks": (
        lambda folder: shutil.rmtree(folder / "test" / "dog"),
        {},
        "PATH: test/ lacks classes of the other split: dog",
    ),
    "a share beside splits": (lambda folder: None, {"test_share": 0.2}, "PATH: has train and test already"),
    "a link out": (
        link_out,
        {},
        "PATH: train/cat/linked.png: a link that leads out of the folder, to /etc/passwd",
    ),
    "a linked folder": (
        link_folder_out,
        {},
        "PATH: train/linked: a link that leads out of the folder, to /etc",
    ),
    "a class whose name is no text": (
        lambda folder: (folder / "train" / "cat").rename(folder / "train" / NO_TEXT),
        {},
        r"PATH: 'train/caf\udce9': the name of a class has to be text (UTF-8)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_folders(read: Any, parted: Any, tmp_path: Path, what: str) -> None:
    """What is wrong is one line, and nothing is left of the set."""
    folder, _ = parted
    spoil, how, message = BAD[what]
    spoil(folder)
    with pytest.raises(Refused) as refused:
        read(folder, **how)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "DATA").exists()


def test_classes_and_no_splits_need_a_word(read: Any, flat: Path) -> None:
    """Both ways to go on are told; pictures alone have no classes to be parted by."""
    with pytest.raises(Refused, match=r"--test-share 0\.2 parts it, --outliers takes it for an outlier set"):
        read(flat)
    with pytest.raises(Refused, match="PATH: has no folder of a class, and so nothing that --test-share"):
        read(flat / "cat", test_share=0.5)


def test_the_same_again_changes_nothing_and_another_is_refused(
    read: Any, parted: Any, tmp_path: Path
) -> None:
    """What is there stays, unless it is to be replaced; then nothing of the other is left."""
    folder, _ = parted
    first = read(folder)
    home = tmp_path / "DATA" / "own"
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    read(folder)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
    picture(folder / "train" / "cat", "new.png", colours())
    with pytest.raises(Refused, match=r"there is a set own already, with other content .*--replace"):
        read(folder)
    assert own_set(tmp_path / "DATA", "own") == first
    second = read(folder, replace=True)
    assert own_set(tmp_path / "DATA", "own") == second
    assert sorted(path.name for path in home.iterdir()) == [f"content-{second.digest[:20]}", SET]


def test_a_damaged_set_is_told_and_mended_by_adding_it_again(read: Any, parted: Any, tmp_path: Path) -> None:
    """A delivery reads only what was added."""
    folder, _ = parted
    described = read(folder)
    (kept,) = described.content(tmp_path / "DATA" / "own").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WrongInput, match=r"pictures\.zip is not what was added as own"):
        decoded(tmp_path)
    read(folder)
    assert kept.read_bytes() == whole


def test_an_adding_that_is_killed_leaves_the_set_of_before(
    read: Any, parted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever of its steps; and the next one is not in the way of what it left."""
    folder, _ = parted
    for before in (None, read):
        first = before(folder) if before else None
        picture(folder / "train" / "cat", "another.png", colours())
        for step in ("publish", "write_json", "remove_folder"):
            with monkeypatch.context() as patch:
                patch.setattr(f"tasks.datasets.adding.{step}", killed)
                with pytest.raises(KeyboardInterrupt):
                    read(folder, replace=True)
            assert own_set(tmp_path / "DATA", "own") == first
        read(folder, replace=True)
        assert len(content(decoded(tmp_path)[0], "train")) == 31
        shutil.rmtree(tmp_path / "DATA")
        (folder / "train" / "cat" / "another.png").unlink()


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_damaged_description_is_mended_by_replacing_the_set(read: Any, parted: Any, tmp_path: Path) -> None:
    """As its line says; without a word it is told, and nothing is changed."""
    folder, _ = parted
    described = read(folder)
    noted = tmp_path / "DATA" / "own" / SET
    noted.write_text("{}")
    with pytest.raises(Surroundings, match="add the set again with --replace"):
        read(folder)
    assert noted.read_text() == "{}"
    again = read(folder, replace=True)
    assert own_set(tmp_path / "DATA", "own") == again
    assert again.digest == described.digest


def test_a_folder_of_something_else_is_left_alone(read: Any, parted: Any, tmp_path: Path) -> None:
    """What somebody keeps under that name below the data's root is not touched."""
    (tmp_path / "DATA" / "own").mkdir(parents=True)
    (tmp_path / "DATA" / "own" / "thesis.txt").write_text("mine")
    with pytest.raises(Refused, match="is no set that was added"):
        read(parted[0], replace=True)
    assert (tmp_path / "DATA" / "own" / "thesis.txt").read_text() == "mine"


def test_stops(read: Any, parted: Any, tmp_path: Path) -> None:
    """The stop flag is read between pictures, and nothing is left."""
    asked: list[None] = []
    with pytest.raises(Stopped):
        read(parted[0], should_stop=lambda: asked.append(None) or len(asked) > 5)
    assert not (tmp_path / "DATA").exists()


def tar_of(*names: str | tarfile.TarInfo) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = 1 if info.isreg() else 0
            tar.addfile(info, io.BytesIO(b"x"))
    return target.getvalue()


def zip_of(*names: str | zipfile.ZipInfo) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return target.getvalue()


def zip_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("train/cat/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def tar_link() -> tarfile.TarInfo:
    info = tarfile.TarInfo("train/cat/link.png")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


ARCHIVES = {
    "tar, upwards": ("a.tar.gz", tar_of("../../x.png"), "leads out of the archive"),
    "tar, from the root": ("a.tgz", tar_of("/etc/x.png"), "leads out of the archive"),
    "tar, a link": ("a.tgz", tar_of(tar_link()), "is a link to '/etc/passwd'"),
    "tar, twice": ("a.tgz", tar_of("a/x.png", "a/x.png"), "two members of the name 'a/x.png'"),
    "tar, a file that is a folder": ("a.tgz", tar_of("a", "a/x.png"), "two members of the name 'a/x.png'"),
    "tar, cut": ("a.tar.gz", tar_of("a/x.png")[:-20], "ends too early"),
    "zip, upwards": ("a.zip", zip_of("../x.png"), "leads out of the archive"),
    "zip, from the root": ("a.zip", zip_of("/x.png"), "leads out of the archive"),
    "zip, a link": ("a.zip", zip_of(zip_link()), "is a link"),
    "zip, broken": ("a.zip", zip_of("a/x.png").replace(b"a/x.pngx", b"a/x.pngy"), "not a readable zip"),
    "text": ("a.txt", b"hello", "neither a folder nor"),
    "text called so": ("a.tar.gz", b"hello" * 999, "not a readable tar archive"),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_bad_archives(read: Any, tmp_path: Path, what: str) -> None:
    """What leads out of an archive, or is broken, is one line; no file is written elsewhere."""
    name, data, message = ARCHIVES[what]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Refused, match=message):
        read(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_an_archive_that_does_not_fit_on_the_disk(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb ends where the disk does, before it is full."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("a/zeros.png")
        info.size = 5_000_000
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/zeros.png", bytes(5_000_000))
    for name in ("a.tar.gz", "a.zip"):
        with pytest.raises(Refused, match="unpacks to "):
            read(tmp_path / name)
