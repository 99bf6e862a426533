"""Which dataset can have which role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Surroundings, WrongInput
from settings.hyperparameters import DataSettings
from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.own import SET, OwnSet
from tasks.datasets.roles import ROLES, check_roles, dataset_names, fitting
from tasks.datasets.room import expected_bytes
from tasks.store.files import write_json

POSSIBLE = {
    "train": {"mnist", "fashion-mnist"},
    "outliers": {
        *("mnist", "fashion-mnist", "notmnist-small", "notmnist-large", "notmnist-sample"),
        *("glyphs", "noise", "blank"),
    },
    "made": {"noise", "blank", "dimmed", "rotated", "mirrored", "shuffled"},
}


@pytest.mark.parametrize("role", POSSIBLE)
def test_the_roles_of_the_catalogue(role: str) -> None:
    """Trained on is what has labels; outliers stand alone; made ones are made by arithmetic."""
    assert {name for name, dataset in CATALOGUE.items() if ROLES[role](dataset)} == POSSIBLE[role]


ADDED = {"name": "cats", "source": "here", "added_at": "now", "kind": "pictures", "digest": "d", "files": {}}
LABELLED = {"train": {"lion": 3, "lynx": 2, "puma": 2}, "test": {"lion": 1, "lynx": 1, "puma": 1}}
CLASSES = ("lion", "lynx", "puma")


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """A function that notes a set below a data root, which it gives."""

    def note(name: str, **fields: Any) -> Path:
        told: dict[str, Any] = {"counts": LABELLED, "classes": CLASSES, "shape": (32, 32, 3)}
        described = OwnSet.model_validate(ADDED | told | {"name": name} | fields)
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / SET, described.model_dump(mode="json"))
        return tmp_path

    return note


def refused(root: Path, origins: dict[str, str] | None = None, **data: Any) -> list[str]:
    """Give the lines with which settings are refused."""
    with pytest.raises(WrongInput) as error:
        check_roles(DataSettings(**data), origins or {}, root)
    return str(error.value).splitlines()


def test_the_default_roles_are_possible(tmp_path: Path) -> None:
    """Nothing is wrong with the defaults, nor with training on the other set of the catalogue."""
    check_roles(DataSettings(), {}, tmp_path)
    check_roles(DataSettings(train="fashion-mnist", leave_out=("Bag",)), {}, tmp_path)


def test_every_name_in_a_wrong_role_is_a_line_with_its_origin(own: Callable[..., Path]) -> None:
    """The line says where the name comes from and which names there are."""
    data = {"train": "letters", "outliers": ("glyphs", "dimmed"), "made": ("mnist",)}
    assert refused(own("cats"), {"data.train": "command line: --data.train"}, **data) == [
        "command line: --data.train names 'letters', not one of mnist, fashion-mnist, cats; "
        "slipway data add brings one of your own",
        "data.outliers names 'dimmed', not one of mnist, fashion-mnist, notmnist-small, notmnist-large, "
        "notmnist-sample, glyphs, noise, blank",
        "data.made names 'mnist', not one of noise, blank, dimmed, rotated, mirrored, shuffled",
    ]


def test_a_set_of_ones_own_is_enough(own: Callable[..., Path]) -> None:
    """It is trained on without another setting; another one with rows like it can be outliers."""
    own("dogs", counts={"test": {"": 5}}, classes=())
    root = own("cats")
    check_roles(DataSettings(train="cats"), {}, root)
    check_roles(DataSettings(train="cats", outliers=("dogs", "noise"), leave_out=("puma",)), {}, root)


def test_outliers_without_classes_are_not_trained_on(own: Callable[..., Path]) -> None:
    """The line says for what such a set is good."""
    root = own("dogs", counts={"test": {"": 5}}, classes=())
    assert refused(root, train="dogs") == [
        "data.train names 'dogs', which has no classes: it can only be among data.outliers"
    ]


def test_pictures_of_differing_size_need_a_shape(own: Callable[..., Path]) -> None:
    """The first that differs is named with the remedy; with a shape all is well."""
    root = own("cats", shape=None, differs="train/lion/b.png is 40 x 30, train/lion/a.png is 32 x 32")
    (line,) = refused(root, train="cats")
    assert line == (
        "the pictures of cats differ in size (train/lion/b.png is 40 x 30, train/lion/a.png is 32 x 32): "
        "name the one that all are brought to, as in --data.shape 32x32 or 32x32x3"
    )
    check_roles(DataSettings(train="cats", shape="8x8"), {}, root)


def test_outliers_of_another_shape_are_refused_with_the_remedy(own: Callable[..., Path]) -> None:
    """Grey pictures beside colours, or those of the catalogue, are told before anything is trained."""
    own("dogs", counts={"test": {"": 5}}, classes=(), shape=(32, 32))
    root = own("cats")
    assert refused(root, train="cats", outliers=("dogs", "mnist")) == [
        "data.outliers names 'dogs' with rows of 32x32 (uint8), and those of cats are 32x32x3 (uint8): "
        "bring both to one shape, as with --data.shape 32x32x3, or name another outlier set",
        "data.outliers names 'mnist' with rows of 28x28 (uint8), and those of cats are 32x32x3 (uint8): "
        "bring both to one shape, as with --data.shape 28x28, or name another outlier set",
    ]
    for shape, outliers in (("32x32x3", ("dogs",)), ("28x28", ("dogs", "mnist"))):
        check_roles(DataSettings(train="cats", outliers=outliers, shape=shape), {}, root)


def test_sets_of_the_catalogue_keep_their_shape(own: Callable[..., Path]) -> None:
    """A shape is theirs or refused, for training and for outliers."""
    root = own("cats")
    told = "whose rows stay 28x28: only sets of your own are brought to another"
    assert refused(root, shape="32x32") == [f"data.shape=32x32 is not the shape of mnist, {told}"]
    assert refused(root, shape="32x32", train="cats", outliers=("glyphs",)) == [
        f"data.shape=32x32 is not the shape of glyphs, {told}"
    ]
    check_roles(DataSettings(shape="28x28"), {}, root)


def test_rows_that_are_no_pictures_have_no_other_shape(own: Callable[..., Path]) -> None:
    """Numbers are not scaled, and no set of pictures stands beside them."""
    root = own("prices", kind="arrays", shape=(13,), dtype="float32", low=-1.0, high=1.0)
    check_roles(DataSettings(train="prices"), {}, root)
    assert refused(root, train="prices", shape="4x4") == [
        "the rows of prices are float32 of 13, no pictures that could be brought to data.shape=4x4"
    ]
    (line,) = refused(root, train="prices", outliers=("glyphs",))
    assert line.endswith("and those of prices are 13 (float32): name another outlier set")


def test_made_sets_that_the_rows_have_no_form_for(own: Callable[..., Path]) -> None:
    """Named, such a set is refused; as a default it is left out, and the others are made."""
    root = own("cats", shape=(24, 32, 3))
    assert refused(root, train="cats", made=("noise", "rotated")) == [
        "data.made names 'rotated': rotated is made of pictures with equal sides, not of 24 x 32 x 3"
    ]
    check_roles(DataSettings(train="cats"), {}, root)
    assert fitting(DataSettings(train="cats"), (24, 32, 3)) == ["dimmed", "blank", "noise", "mirrored"]
    assert fitting(DataSettings(train="cats"), (13,)) == ["dimmed", "blank", "noise"]
    assert fitting(DataSettings(), (28, 28)) == ["dimmed", "blank", "noise", "rotated", "mirrored"]


@pytest.mark.parametrize(
    ("train", "left_out", "line"),
    [
        (
            "cats",
            ("tiger", "lion"),
            "data.leave_out names 'tiger', no class of cats; it has lion, lynx, puma",
        ),
        (
            "mnist",
            ("ten",),
            "data.leave_out names 'ten', no class of mnist; it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
        ("cats", ("lion", "lynx"), "data.leave_out leaves fewer than two classes of cats to train on"),
    ],
)
def test_classes_that_cannot_be_left_out(
    own: Callable[..., Path], train: str, left_out: tuple[str, ...], line: str
) -> None:
    """Unknown names are told with the known ones, and two classes have to remain."""
    assert refused(own("cats"), train=train, leave_out=left_out) == [line]


def test_a_damaged_description_of_a_set_is_told(own: Callable[..., Path]) -> None:
    """The file and the remedy are named."""
    root = own("cats")
    (root / "cats" / SET).write_text('{"name": "cats"}')
    with pytest.raises(Surroundings, match=r"cats/set\.json is damaged .*add the set again with --replace"):
        check_roles(DataSettings(train="cats"), {}, root)


def test_the_names_of_what_the_store_can_hold(own: Callable[..., Path]) -> None:
    """A prune looks at sets of one's own too, and at the classes that are left out."""
    assert {"mnist", "shuffled", "left-out", "cats"} <= {*dataset_names(own("cats"))}


def test_the_room_for_sets(own: Callable[..., Path]) -> None:
    """A set counts with all rows of their shape and their labels, what is made of it with the test rows."""
    root = own("cats", shape=None, differs="one from another")
    data = DataSettings(train="cats", shape="8x8x3", outliers=("cats",), leave_out=("puma",))
    row = 8 * 8 * 3 + 1
    assert expected_bytes("cats", data, root) == 10 * row
    assert expected_bytes("left-out", data, root) == 10 * row
    assert expected_bytes("shuffled", data, root) == expected_bytes("dimmed", data, root) == 3 * row
    assert expected_bytes("blank", data, root) == 1_000 * row
    mnist = DataSettings()
    assert 70_000 * 785 < expected_bytes("mnist", mnist, root) < 70_000 * 785 + 30_000_000
    assert expected_bytes("dimmed", mnist, root) == 18_724 * 785
