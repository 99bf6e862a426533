"""Whether what is to be delivered answers as what is served under its name: clients rely on that."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from settings.errors import WrongInput
from tasks.release.contract import Signature, Tensor, names_of
from tasks.release.reader import Release
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)

SIGNATURE = "serving_default"


def check_contract(
    place: Workplace, signatures: Mapping[str, Signature], classes: Sequence[str] | None
) -> None:
    """Refuse another input, other outputs or other classes than those of the version in production.

    `signatures` and `classes`, the names by id (None: they have none), are those of what is to be delivered;
    of the signatures, `serving_default` counts. Raises WrongInput with the remedy. A version that does not
    tell its classes, as those of before, is compared by shapes alone; one that cannot be read by nothing.
    """
    serving = place.backend.current("production")
    wanted = serving.wanted.version if serving is not None and serving.wanted is not None else 0
    if serving is None or not (version := serving.version or wanted):
        return
    name = place.registry.name
    if found := contract_changes(place, version, signatures, classes):
        raise WrongInput(
            f"version {version} of {name}, which is in production, has another contract: {'; '.join(found)}; "
            f"deliver under another name (serving.name), or take {name} out of service first "
            f"(slipway stop --name {name})"
        )


def contract_changes(
    place: Workplace, version: int, signatures: Mapping[str, Signature], classes: Sequence[str] | None
) -> list[str]:
    """Give in what a version's contract differs from the one to come, as `check_contract` compares them."""
    try:
        release = Release(place.registry.folder(version))
        served, present = release.signatures[SIGNATURE], release.classes
    except (WrongInput, KeyError) as error:
        name = place.registry.name
        logger.warning("version %s of %s is not compared with what is to come: %s", version, name, error)
        return []
    told = "classes" in release.manifest
    found = list(differences(served, signatures[SIGNATURE]))
    if told and not found and names_of(classes) != present:
        found.append(f"its classes are {_names(present)}, those to come {_names(names_of(classes))}")
    return found


def differences(served: Signature, coming: Signature) -> Iterator[str]:
    """Say in what a signature differs from the one that is served: names, types and shapes."""
    for kind, present, new in (
        ("input", served.inputs, coming.inputs),
        ("output", served.outputs, coming.outputs),
    ):
        for name in sorted(present.keys() | new.keys()):
            before, after = _described(present.get(name)), _described(new.get(name))
            if before != after:
                yield f"its {kind} {name} is {before}, that to come {after}"


def _described(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"{tensor.dtype} ({', '.join(('N', *map(str, tensor.row)))})"


def _names(names: Sequence[str]) -> str:
    if not names:
        return "numbers"
    shown = ", ".join(names[:5])
    return f"{shown}, … ({len(names)})" if len(names) > 5 else shown
