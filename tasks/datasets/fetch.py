"""A dataset by name, from the first source that has it, as arrays in a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from settings.errors import Surroundings
from settings.model import Description
from tasks.datasets import made
from tasks.datasets.catalogue import Dataset, find
from tasks.datasets.decoding import Decoding
from tasks.datasets.description import describe
from tasks.datasets.errors import Refused, Unavailable, Unreachable
from tasks.datasets.local import local_inputs
from tasks.datasets.sources import Downloads, Folder, in_order

__all__ = ["Refused", "Unreachable", "fetch", "local_inputs"]

logger = logging.getLogger(__name__)


def fetch(
    name: str | Dataset,
    folder: Path,
    *,
    home: Path,
    local_folders: Sequence[Path] = (),
    base: Path | None = None,
    rows: Description | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Write the arrays of a dataset into `folder`: SPLIT-images.npy, (N, ...), and SPLIT-labels.npy, (N,).

    Looks in `home`, the dataset's own folder, and in `local_folders`, then in what earlier runs left in
    `home`/downloads, then asks the catalogue's sources in order. `base` is the decoded folder that a made set
    is made from; one that is made from nothing gets `rows` like those described. Gives notes for the record:
    what served each file, what was tried in vain, what was left out and why, the number of rows per split,
    and the description.

    Raises Unreachable where no source serves, Refused (a WrongInput) for a wrong file in `home` or a local
    folder, and Stopped.
    """
    dataset = find(name) if isinstance(name, str) else name
    notes: dict[str, Any] = {"name": dataset.name, "title": dataset.title}
    notes |= {"served": {}, "tried": [], "quarantined": []}
    if dataset.kind == "made":
        described = describe(base) if base is not None else rows or description_of(dataset)
        notes["images"] = made.make(dataset, folder, base, described, should_stop)
        classes = described.classes if dataset.made_from != "nothing" else ()
        notes["description"] = described.model_copy(update={"classes": classes}).model_dump(mode="json")
        notes["source"] = f"made from {dataset.made_from}"
    elif dataset.kind == "rendered":
        notes |= _render(dataset, folder, home, local_folders, should_stop)
        notes["description"] = description_of(dataset).model_dump(mode="json")
    else:
        notes |= _published(dataset, folder, home, local_folders, should_stop)
        notes["description"] = description_of(dataset).model_dump(mode="json")
    counts = ", ".join(f"{count:,} {split}" for split, count in notes["images"].items())
    logger.info("%s: %s rows, %s", dataset.name, counts, notes["source"])
    return notes


def description_of(dataset: Dataset) -> Description:
    """Give what the catalogue says of the rows of a dataset; the labels of a made one are its base's."""
    return Description(shape=dataset.shape, classes=() if dataset.kind == "made" else dataset.classes)


def _published(
    dataset: Dataset,
    folder: Path,
    home: Path,
    local_folders: Sequence[Path],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    decoding = Decoding(dataset, folder, should_stop)
    tried: list[dict[str, str]] = []
    transient = False
    for source in in_order(dataset, home, local_folders):
        try:
            source.serve(decoding, should_stop)
        except Unavailable as error:
            transient |= error.transient
            if isinstance(source, Downloads):
                continue
            tried.append({"source": source.origin, "reason": str(error)})
            if not isinstance(source, Folder):
                logger.info("%s: %s: %s", dataset.name, source.origin, error)
        except Refused as error:
            if isinstance(source, Folder):
                raise
            tried.append({"source": source.origin, "reason": str(error)})
            logger.warning("%s: %s: %s", dataset.name, source.origin, error)
        if not decoding.missing:
            break
    else:
        reasons = "; ".join(f"{each['source']}: {each['reason']}" for each in tried)
        names = ", ".join(file.published_name for file in decoding.missing)
        raise Unreachable(
            f"{dataset.name}: no source serves {names}: {reasons}. Put the files into {home} and run again",
            transient,
        )
    return {
        "source": ", ".join(dict.fromkeys(decoding.served.values())),
        "served": decoding.served,
        "tried": tried,
        "quarantined": decoding.quarantined,
        "images": dict(dataset.images),
    }


def _render(
    dataset: Dataset,
    folder: Path,
    home: Path,
    local_folders: Sequence[Path],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    from tasks.datasets import fonts, glyphs  # bring Pillow, which other sets do without

    tried: list[dict[str, str]] = []
    for origin, files in fonts.font_sets(dataset, home, local_folders, tried, should_stop):
        try:
            used, left_out = glyphs.draw_all(
                files, folder, count=dataset.images["test"], seed=dataset.seed, should_stop=should_stop
            )
        except glyphs.NoLetters as reason:
            tried.append({"source": origin, "reason": str(reason)})
            continue
        return {
            "source": origin,
            "fonts": used,
            "tried": tried,
            "quarantined": left_out,
            "images": dict(dataset.images),
        }
    reasons = "; ".join(f"{each['source']}: {each['reason']}" for each in tried)
    raise Surroundings(f"{dataset.name}: nothing to draw letters with: {reasons}")
