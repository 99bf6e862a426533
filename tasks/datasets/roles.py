"""Which dataset of the catalogue can be trained on, be outliers, or be made besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from settings.errors import WrongInput
from tasks.datasets.catalogue import CATALOGUE, Dataset

if TYPE_CHECKING:
    from settings.hyperparameters import DataSettings


def is_trainable(dataset: Dataset) -> bool:
    """Tell whether it has labelled images to train on and to test with."""
    labelled = {file.split for file in dataset.files if file.content == "labels"}
    return {"train", "test"} <= labelled


def is_outlier(dataset: Dataset) -> bool:
    """Tell whether it stands alone: the made ones that need another set are measured besides."""
    return dataset.made_from in (None, "nothing")


def is_made(dataset: Dataset) -> bool:
    """Tell whether it is made by arithmetic."""
    return dataset.kind == "made"


ROLES = {"train": is_trainable, "outliers": is_outlier, "made": is_made}


def check_roles(data: DataSettings, origins: Mapping[str, str]) -> None:
    """Raise WrongInput with a line for each name that cannot have the role it is given.

    `origins` says where a setting comes from that is not a default, by its dotted name.
    """
    if problems := list(_problems(data, origins)):
        raise WrongInput("\n".join(problems))


def _problems(data: DataSettings, origins: Mapping[str, str]) -> Iterator[str]:
    names = {"train": (data.train,), "outliers": data.outliers, "made": data.made}
    for role, fits in ROLES.items():
        setting = f"data.{role}"
        possible = [name for name, dataset in CATALOGUE.items() if fits(dataset)]
        for name in names[role]:
            if name not in possible:
                yield f"{origins.get(setting, setting)} names {name!r}, not one of {', '.join(possible)}"
