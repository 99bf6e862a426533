"""fetch-dataset: brings a dataset into the store; an outlier set that cannot be had is no failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.states import Completed
from prefect.tasks import Task

from settings.errors import Surroundings
from settings.hyperparameters import SHUFFLED, DataSettings, held_out_rows
from settings.model import Description
from tasks.datasets.catalogue import CATALOGUE, find
from tasks.datasets.description import describe
from tasks.datasets.errors import Unreachable
from tasks.datasets.leaving_out import LEFT_OUT
from tasks.datasets.roles import fitting, is_made
from tasks.kept import CACHED, at_hand
from tasks.opening import inputs_of, store_dataset
from tasks.steps import dataset_key
from tasks.stopping import stop_here
from tasks.store.artifacts import Artifact
from tasks.store.files import read_json, write_json
from tasks.store.keys import Key
from tasks.timeline import Timeline
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)

RETRY_SECONDS: list[float] = [2, 8]
ASK_AGAIN_SECONDS = 3600.0  # an outlier set that could not be reached is not asked for again before


def can_help(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a retry can help: a broken connection yes, an unknown host or a wrong digest no."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, Unreachable) and error.transient


def is_last_attempt() -> bool:
    """Tell whether the task run that this is called in has used up its retries."""
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > len(RETRY_SECONDS)


@task(
    name="fetch-dataset",
    task_run_name="fetch-dataset {name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=can_help,
)
def fetch_dataset(
    place: Workplace,
    name: str,
    local: Mapping[str, str],
    base: Artifact | None,
    how: Mapping[str, Any],
    required: bool,
) -> Artifact | State[None]:
    """Give the dataset; where it is not `required` and cannot be reached, end without one and say why."""
    key = dataset_key(name, local, base, how)
    if (known := at_hand(place, f"dataset/{name}", key)) is not None:
        return known
    note = place.store.dataset_home(name) / f"unreachable-{name}.json"
    if not required and (reason := refused_lately(note, key)) is not None:
        return Completed(name="Unreachable", message=reason)
    try:
        return store_dataset(place, name, local, base, how)
    except Unreachable as error:
        if required or (error.transient and not is_last_attempt()):
            raise
        write_json(note, {"at": time.time(), "key": key.digest, "reason": str(error)})
        logger.warning("%s", error)
        return Completed(name="Unreachable", message=str(error))


def refused_lately(note: Path, key: Key) -> str | None:
    """Give the reason for which a set could not be had within the last hour; None: ask for it.

    A file that was put into a local folder since then makes another key.
    """
    if not note.exists():
        return None
    noted = read_json(note)
    age = time.time() - noted["at"]
    if noted.get("key") != key.digest or not 0 <= age < ASK_AGAIN_SECONDS:
        return None
    return f"{noted['reason']} (asked {age / 60:.0f} min ago; to ask at once, remove {note})"


@dataclass(frozen=True)
class Gathered:
    """The data of a delivery."""

    dataset: Artifact  # what is trained on and tested with
    description: Description  # of its rows
    data: DataSettings  # with how many rows are held out
    sets: Mapping[str, Artifact]  # the outlier sets by name, the primary one first
    primary: str
    wanted: str  # the one that should be the primary one
    primary_is_made: bool  # by arithmetic: no rows of anything else were to be had, or asked for


def gather(place: Workplace, data: DataSettings, timeline: Timeline, *, outliers: bool) -> Gathered:
    """Bring all sets of a delivery into the store: the real ones at once, then those made from them.

    The primary outlier set is the first that can be had of those that are wanted; Surroundings where none
    can, or where it has to be the first of all. A model that gives no score needs no `outliers`.
    """
    if not outliers:
        data = data.model_copy(update={"outliers": (), "made": ()})
    wanted = data.judged_on[0]
    real = fetch_real(place, data, timeline, wanted)
    dataset = real.pop(data.train)
    if data.leave_out:
        parts = fetch_all(
            place,
            [data.train, LEFT_OUT],
            timeline,
            required={data.train, LEFT_OUT},
            inputs=dict.fromkeys((data.train, LEFT_OUT), ({}, {"leave_out": list(data.leave_out)})),
            bases=dict.fromkeys((data.train, LEFT_OUT), dataset),
        )
        dataset = parts.pop(data.train)
        real |= parts
    rows = int(place.store.record(dataset).notes["images"]["train"])
    data = data.model_copy(update={"held_out": held_out_rows(data, rows)})
    if not outliers:
        description = describe(place.store.folder(dataset))
        return Gathered(dataset, description, data, sets={}, primary="", wanted="", primary_is_made=False)
    described = describe(place.store.folder(dataset))
    standing = standing_sets(data)
    from_rows = [name for name in standing if name in CATALOGUE and is_made(find(name))]
    real |= make_all(place, from_rows, timeline, {"train": dataset}, described)
    real = {name: real[name] for name in standing if name in real}
    if not real:
        raise Surroundings(
            f"none of the outlier sets {', '.join(data.outliers)} can be had, and a model is not judged "
            "without: put the published files of one into its folder, or name another in data.outliers"
        )
    primary = next(iter(real))
    if primary != wanted:
        logger.warning("%s cannot be had here: %s is the primary outlier set", wanted, primary)
    besides = [name for name in fitting(data, described.shape) if name not in real]
    bases = {"train": dataset, "outliers": real[primary]}
    made = make_all(place, besides, timeline, bases, described)
    return Gathered(
        dataset=dataset,
        description=described,
        data=data,
        sets=real | made,
        primary=primary,
        wanted=wanted,
        primary_is_made=primary in CATALOGUE and is_made(find(primary)),
    )


def standing_sets(data: DataSettings) -> list[str]:
    """Give the names of the sets that can be the primary one, in order; the others are made besides."""
    real = {*data.outliers, LEFT_OUT}
    return [name for name in data.judged_on if name in real or (not data.outliers and name == SHUFFLED)]


def fetch_real(place: Workplace, data: DataSettings, timeline: Timeline, wanted: str) -> dict[str, Artifact]:
    """Fetch the training set and the outlier sets that are not made, all at once."""
    names = [
        data.train,
        *(name for name in data.outliers if name not in CATALOGUE or not is_made(find(name))),
    ]
    required = {data.train, wanted} if data.require_primary else {data.train}
    inputs = {name: inputs_of(place, name, data.row_shape) for name in names}
    try:
        return fetch_all(place, names, timeline, required=required, inputs=inputs)
    except Unreachable as error:
        if not data.require_primary or not str(error).startswith(f"{wanted}:"):
            raise
        raise Surroundings(
            f"{error}; without {wanted} nothing is judged, since data.require_primary is on"
        ) from error


def make_all(
    place: Workplace,
    names: Sequence[str],
    timeline: Timeline,
    bases: Mapping[str, Artifact],
    described: Description,
) -> dict[str, Artifact]:
    """Make sets by arithmetic, each from the base that it needs, or like the rows described."""
    return fetch_all(
        place,
        names,
        timeline,
        required=set(names),
        inputs={name: inputs_of(place, name, None, described) for name in names},
        bases={name: bases.get(find(name).made_from or "") for name in names},
    )


def fetch_all(
    place: Workplace,
    names: Sequence[str],
    timeline: Timeline,
    *,
    required: Set[str],
    inputs: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]],
    bases: Mapping[str, Artifact | None] | None = None,
) -> dict[str, Artifact]:
    """Map fetch-dataset over the names; give what could be had, in their order."""
    names = list(dict.fromkeys(names))
    if not names:
        return {}
    stop_here(f"fetching {', '.join(names)}")
    futures = fetch_dataset.map(
        place=unmapped(place),
        name=names,
        local=[inputs[name][0] for name in names],
        base=[(bases or {}).get(name) for name in names],
        how=[inputs[name][1] for name in names],
        required=[name in required for name in names],
    )
    futures.wait()
    had = {}
    for name, future in zip(names, futures, strict=True):
        made = future.state.result()
        computed = made is not None and future.state.name != CACHED
        timeline.add(
            f"fetch-dataset {name}", future.state, place.store.record(made).seconds if computed else 0.0
        )
        if made is not None:
            had[name] = made
    return had
