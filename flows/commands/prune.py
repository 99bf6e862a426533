"""`slipway prune`: removes the versions that nobody will go back to, and what the store holds for them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from flows.commands.arguments import add_name, operation_of
from tasks.prune import Leftovers, prune
from tasks.reporting.terminal import printable
from tasks.store.reach import size_of
from tasks.workplace import other_registries


def run(arguments: Sequence[str]) -> int:
    """Prune, and say what was freed; raises SlipwayError, as where a run is at work."""
    parser = argparse.ArgumentParser(
        prog="slipway prune",
        description="Remove old versions of a model, and what the store holds for them alone. The version in "
        "production, the one before it, and those that the next candidate is compared with stay in any case; "
        "so do the history, the receipts and the downloads.",
    )
    parser.add_argument(
        "--keep",
        type=positive,
        required=True,
        metavar="K",
        help="how many stay, the newest, of the versions that were promoted and of the candidates",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
    )
    add_name(parser)
    options = parser.parse_args(arguments)
    operation = operation_of(options)
    others = other_registries(operation.places, operation.name)
    left = prune(operation.place, options.keep, others=others, dry_run=options.dry_run, tell=say)
    verb = "would be freed" if options.dry_run else "are freed"
    print(f"{left.bytes:,} bytes {verb}")
    return 0


def say(name: str, left: Leftovers) -> None:
    """Print what goes, with the bytes of each."""
    rows = [(f"version {version} of {name}", size_of(path)) for version, path in left.versions.items()]
    sizes: Counter[str] = Counter()
    counts = Counter(each.record.kind for each in left.artifacts)
    for each in left.artifacts:
        sizes[each.record.kind] += size_of(each.folder)
    rows += [(f"{counts[kind]} of {kind} in the store", sizes[kind]) for kind in sorted(counts)]
    if left.records:
        rows.append((f"{len(left.records)} of Prefect's records", sum(map(size_of, left.records))))
    width = max((len(what) for what, _ in rows), default=0)
    for what, size in rows:
        print(printable(f"{what:<{width}}  {size:>14,} bytes", sys.stdout))


def positive(text: str) -> int:
    """Read a number of versions; ValueError where it is none."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
