"""The key of every step whose result is kept: what decides it, and nothing else.

Made without Prefect and TensorFlow, so a plan of a delivery is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from settings.delivery import Delivery
from settings.hyperparameters import DataSettings, JudgingSettings
from settings.model import AT_EXPORT, NOT_IN_RESULT, Description, Model, Network, Training
from tasks.store.artifacts import Artifact
from tasks.store.code import code_digests
from tasks.store.functions import Reached, reach
from tasks.store.keys import Key, make_key

SERVER = "tasks.serving.__main__"  # the other end of the wire

CODE = {
    "dataset": ("tasks.making.dataset",),
    "network": ("tasks.making.network",),
    "release": ("tasks.making.release",),
    "scores": ("tasks.making.scores", SERVER),
    "verdict": ("tasks.making.verdict", SERVER),
}
"""By step, the modules that decide it, with all that they import."""


def read_code(model: Model) -> None:
    """Read the code of all keys: before a run imports what an edit during the run would change."""
    for modules in CODE.values():
        for module in modules:
            code_digests(module)
    for network in model.networks:
        code_of(network)
    reach([*model.signatures.values(), *(gate.measure for gate in model.gates)])


@cache
def code_of(network: Network) -> Reached:
    """Give the code that makes a network what it is, beside that of all trainings.

    Raises WrongInput for a library that is not installed.
    """
    made_by = (network.build, network.loss, network.score)
    return reach([each for each in made_by if each is not None], network.settings)


def used(section: str, settings: BaseModel, *names: str) -> dict[str, Any]:
    """Give the named settings of a stage as parts of a key."""
    values = settings.model_dump(mode="json")
    return {f"{section}.{name}": values[name] for name in names}


def used_by(network: Network, settings: Training, *, at_export: bool) -> dict[str, Any]:
    """Give the settings of a network that decide its weights, or also those that its export uses."""
    left_out = {NOT_IN_RESULT} if at_export else {NOT_IN_RESULT, AT_EXPORT}
    fields = type(settings).model_fields
    names = [name for name, field in fields.items() if not any(mark in field.metadata for mark in left_out)]
    return used(network.name, settings, *names)


def described(description: Description) -> dict[str, Any]:
    """Give what the rows are as a part of a key."""
    return {"data.rows": description.model_dump(mode="json")}


def dataset_key(name: str, local: Mapping[str, str], base: Artifact | None, how: Mapping[str, Any]) -> Key:
    """Key of a dataset: its name, the files or the content found locally, its base, and how it is made.

    Nothing in it is a path: the same content gives the same key on every machine.
    """
    inputs = {f"file {path}": digest for path, digest in local.items()}
    if base is not None:
        inputs["base"] = base.digest
    return make_key(
        modules=CODE["dataset"],
        inputs=inputs,
        settings={"dataset": name} | {f"dataset.{part}": value for part, value in how.items()},
        libraries=["numpy", "pillow"],
    )


def network_key(
    network: Network, settings: Training, dataset: Artifact, description: Description, data: DataSettings
) -> Key:
    """Key of a trained network."""
    code = code_of(network)
    return make_key(
        modules=CODE["network"],
        inputs={"dataset": dataset.digest},
        settings={"role": network.role}
        | described(description)
        | used("data", data, "held_out", "limit")
        | used_by(network, settings, at_export=False),
        libraries=["numpy", "tensorflow", *code.libraries],
        code=code.digests,
    )


def release_key(
    delivery: Delivery,
    model: Model,
    dataset: Artifact,
    description: Description,
    networks: Mapping[str, Artifact],
) -> Key:
    """Key of the release: all networks, the held-out rows of the threshold, and its rate."""
    judging: JudgingSettings = delivery.judging
    settings = {"roles": {each.name: each.role for each in model.networks}, "inputs": model.inputs}
    settings |= described(description) | used("data", delivery.data, "held_out", "limit")
    settings |= used("judging", judging, "false_positive_rate")
    own = reach(model.signatures.values())
    settings |= {"signatures": list(model.signatures)} if model.signatures else {}
    code, libraries = own.digests, {"numpy", "tensorflow", *own.libraries}
    for network in model.networks:
        settings |= used_by(network, delivery.networks[network.name], at_export=True)
        code |= code_of(network).digests
        libraries |= code_of(network).libraries
    return make_key(
        modules=CODE["release"],
        inputs={"dataset": dataset.digest, **{name: made.digest for name, made in networks.items()}},
        settings=settings,
        libraries=sorted(libraries),
        code=code,
    )
