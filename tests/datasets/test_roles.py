"""Which dataset can have which role."""

from __future__ import annotations

import pytest

from settings.errors import WrongInput
from settings.hyperparameters import DataSettings
from tasks.datasets.catalogue import CATALOGUE
from tasks.datasets.roles import ROLES, check_roles

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


def test_the_default_roles_are_possible() -> None:
    """Nothing is wrong with the defaults."""
    check_roles(DataSettings(), {})


def test_every_name_in_a_wrong_role_is_a_line_with_its_origin() -> None:
    """The line says where the name comes from and which names there are."""
    data = DataSettings(train="letters", outliers=("glyphs", "dimmed"), made=("mnist",))
    with pytest.raises(WrongInput) as refused:
        check_roles(data, {"data.train": "command line: --data.train"})
    assert str(refused.value).splitlines() == [
        "command line: --data.train names 'letters', not one of mnist, fashion-mnist",
        "data.outliers names 'dimmed', not one of mnist, fashion-mnist, notmnist-small, notmnist-large, "
        "notmnist-sample, glyphs, noise, blank",
        "data.made names 'mnist', not one of noise, blank, dimmed, rotated, mirrored, shuffled",
    ]
