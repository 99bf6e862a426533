"""`slipway data`: sets of one's own, by name: add, list, show and remove."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from settings.errors import WrongInput
from settings.places import Places, read_places
from tasks.datasets.own import OwnSet, known, own_sets, times
from tasks.reporting.terminal import printable
from tasks.stopping import should_stop
from tasks.store.lock import data_lock, run_lock


def run(arguments: Sequence[str]) -> int:
    """Do what the first word says; raises SlipwayError."""
    options = build_parser().parse_args(arguments)
    return int(options.do(options, read_places(os.environ, Path.cwd())))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the four words."""
    parser = argparse.ArgumentParser(
        prog="slipway data",
        description="Sets of your own, which a delivery takes by name: --data.train NAME.",
    )
    words = parser.add_subparsers(required=True, metavar="add|list|show|remove")
    adding = words.add_parser(
        "add",
        help="bring a set under a name",
        description="Bring a set of rows under a name. PATH is a folder with train/ and test/, in each a "
        "folder of PNG or JPEG pictures for each class; one with a folder for each class (--test-share); "
        "pictures without classes, for an outlier set; an .npz file with x_train, y_train, x_test, y_test; "
        ".npy; IDX files; or a .tar.gz, .tgz or .zip with one of the folders. The set is copied, and what "
        "happens at PATH afterwards changes nothing.",
    )
    adding.add_argument("name", metavar="NAME", help="small letters, digits and hyphens")
    adding.add_argument("path", metavar="PATH|URL", help="where it is; an http(s) address needs --sha256")
    adding.add_argument(
        "--test-share", type=share, metavar="S", help="part a set without train and test: this share tests"
    )
    adding.add_argument("--seed", type=int, default=1, metavar="N", help="of the parting (default: 1)")
    adding.add_argument(
        "--outliers", action="store_true", help="take all of it for an outlier set, without classes"
    )
    adding.add_argument(
        "--unreadable",
        type=limit,
        default=0.01,
        metavar="S",
        help="the share of the files that may be unreadable; those are left out (default: 0.01)",
    )
    adding.add_argument(
        "--arrays",
        type=pairs,
        default={},
        metavar="NAME=ARRAY,…",
        help="which array of an .npz file is x_train, y_train, x_test, y_test, x, y or class_names",
    )
    adding.add_argument("--sha256", metavar="HEX", help="of the file at an address, which has to be that")
    adding.add_argument("--replace", action="store_true", help="put it in the place of a set of that name")
    adding.set_defaults(do=add)
    listing = words.add_parser("list", help="list the sets", description="List the sets that were added.")
    listing.set_defaults(do=show_all)
    showing = words.add_parser("show", help="tell all of a set", description="Tell all of a set.")
    showing.set_defaults(do=show)
    removing = words.add_parser(
        "remove", help="remove a set", description="Remove a set, and all that was decoded of it."
    )
    removing.set_defaults(do=remove)
    for each in (showing, removing):
        each.add_argument("name", metavar="NAME")
    return parser


def add(options: argparse.Namespace, places: Places) -> int:
    """Read a set, and put it into its place."""
    from tasks.datasets.adding import Options
    from tasks.own_sets import bring

    how = Options(options.test_share, options.seed, options.outliers, options.unreadable, options.arrays)
    if options.outliers and options.test_share:
        raise WrongInput("--outliers takes all for one set, and --test-share parts it: give one of them")
    added, changed = bring(
        options.name,
        options.path,
        places.data_root,
        how,
        sha256=options.sha256 or "",
        replace=options.replace,
    )
    tell(summary(added.described) if changed else f"{options.name} is there already, with this content")
    if changed:
        details(added.described)
    return 0


def show_all(options: argparse.Namespace, places: Places) -> int:
    """Print a line for each set."""
    sets = list(own_sets(places.data_root))
    for each in sets:
        tell(summary(each))
    if not sets:
        tell(f"there is no set of your own below {places.data_root}; slipway data add brings one there")
    return 0


def show(options: argparse.Namespace, places: Places) -> int:
    """Print all that is known of a set."""
    described = known(places.data_root, options.name)
    tell(summary(described))
    tell(f"  digest     {described.digest}")
    tell(f"  added      {described.added_at} from {described.source}")
    if described.parted:
        part, seed = described.parted["test_share"], described.parted["seed"]
        tell(f"  parted     --test-share {part:g} --seed {seed}")
    for label in described.classes:
        counts = ", ".join(f"{described.counts[split][label]:,} {split}" for split in described.rows)
        tell(f"  class      {label}: {counts}")
    details(described)
    return 0


def remove(options: argparse.Namespace, places: Places) -> int:
    """Remove a set; Surroundings at once where a run is at work, which may read it."""
    from tasks.datasets.adding import remove_set

    known(places.data_root, options.name)
    with (
        run_lock(places.models_root, what=f"the removal of {options.name}", wait_seconds=0.0),
        data_lock(places.data_root, should_stop=should_stop),
    ):
        remove_set(places.data_root, options.name)
    tell(f"{options.name} is removed")
    return 0


def summary(described: OwnSet) -> str:
    """Say what a set is, in one line."""
    rows = " and ".join(f"{count:,} {split}" for split, count in described.rows.items())
    shape = times(described.shape) if described.shape is not None else "differing sizes"
    what = f"{len(described.classes)} classes" if described.classes else "outliers"
    return f"{described.name}: {what}, {rows} rows of {shape} ({described.dtype})"


def details(described: OwnSet) -> None:
    """Print what was done to a set, and what is left out of it."""
    if described.differs:
        tell(f"  sizes      {described.differs}: a delivery needs --data.shape")
    for remark in described.remarks:
        tell(f"  remark     {remark}")
    for each in described.unreadable:
        tell(f"  left out   {each.file}: {each.reason}")


def tell(line: str) -> None:
    """Print a line that any terminal can show."""
    print(printable(line, sys.stdout))


def share(text: str) -> float:
    """Read a share that leaves rows on both sides; ValueError where it is none."""
    if not 0 < (number := float(text)) < 1:
        raise ValueError(text)
    return number


def limit(text: str) -> float:
    """Read a share that may be all or nothing; ValueError where it is none."""
    if not 0 <= (number := float(text)) <= 1:
        raise ValueError(text)
    return number


def pairs(text: str) -> Mapping[str, str]:
    """Read names of arrays; ValueError where they are none."""
    words = [word.partition("=") for word in text.split(",")]
    if not all(name and array for name, _, array in words):
        raise ValueError(text)
    return {name: array for name, _, array in words}
