"""Which versions a candidate is compared with: that in production, and the best that were promoted so far.

A candidate that is a little worse than production passes, as it has to, or no new model ever would; so would
one that is a little worse than that one. What stops the chain is the best of before: in each statistic, the
version with the highest value among those that were promoted by their gates and not taken back since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from tasks.release.contract import Signature
from tasks.release.history import Event, taken_back

PRODUCTION, BEST = "production", "best"


class Rival(BaseModel):
    """A version that a candidate is compared with."""

    model_config = ConfigDict(frozen=True)

    version: int
    digest: str  # of the release
    roles: Mapping[str, str]  # by statistic: what the version is in it, as `production, best`


def champion_among(rivals: Sequence[Rival]) -> int | None:
    """Give the rival that is in production; None where there is none."""
    served = (rival for rival in rivals if any(role.startswith(PRODUCTION) for role in rival.roles.values()))
    return next((rival.version for rival in served), None)


def compared_on(signatures: Mapping[str, Signature], test: str, outliers: str, limit: int) -> dict[str, str]:
    """Give what a statistic has to be measured on to be comparable, as a digest by its name.

    That is the contract of the releases, their `signatures`, the test rows, and for the AUROC the primary
    outlier set too; `test` and `outliers` are the digests of the datasets (empty: the model gives no score),
    `limit` how many rows of each are used (0: all).
    """
    contract = [
        (name, tensor, each.dtype, each.shape)
        for name, signature in signatures.items()
        for tensor, each in (signature.inputs | signature.outputs).items()
    ]
    on = {"accuracy": _digest(contract, test, limit)}
    return on | {"auroc": _digest(contract, test, limit, outliers)} if outliers else on


def rivals(
    events: Sequence[Event],
    version: int,
    production: int,
    champion: tuple[int, str] | None,
    on: Mapping[str, str],
    there: Collection[int],
) -> tuple[Rival, ...]:
    """Give the versions that a version is compared with: the champion first, in every statistic.

    `production` is the version that is served (0: none), `champion` the one that this one would follow there,
    with its digest; `on` comes from `compared_on`; of the versions, those count that are still `there`.
    For the version in production, what was promoted before it counts, so that an unchanged delivery is not
    judged anew.
    """
    promotions = [at for at, event in enumerate(events) if _promotes(event, version)]
    until = promotions[-1] if promotions and version == production else len(events)
    best = best_so_far(events[:until], on, {*there} - {version})
    roles: dict[tuple[int, str], dict[str, str]] = {}
    if champion is not None:
        roles[champion] = dict.fromkeys(on, PRODUCTION)
    for statistic, found in best.items():
        known = roles.setdefault((found.version, found.digest), {})
        known[statistic] = f"{known[statistic]}, {BEST}" if statistic in known else BEST
    return tuple(Rival(version=number, digest=digest, roles=role) for (number, digest), role in roles.items())


def best_so_far(events: Sequence[Event], on: Mapping[str, str], there: Collection[int]) -> dict[str, Event]:
    """Give the promotion of the version that is best in each statistic, the newer one of equal ones.

    A version counts that was measured `on` the same, is `there`, and was last promoted without force and not
    taken back since. A statistic in which none counts is left out.
    """
    promoted = {event.digest: event for event in events if event.event == "promoted"}
    out = taken_back(events)
    best: dict[str, tuple[float, int]] = {}
    found = {}
    for event in events:
        promotion = promoted.get(event.digest)
        if promotion is None or promotion.forced or promotion.digest in out or promotion.version not in there:
            continue
        for name, statistic in (event.statistics or {}).items():
            rank = (statistic.value, promotion.version)
            if on.get(name) == statistic.on and rank > best.get(name, (-1.0, 0)):
                best[name], found[name] = rank, promotion
    return {name: found[name] for name in on if name in found}


def needed(events: Sequence[Event], production: int, there: Collection[int]) -> set[int]:
    """Give the versions that the next judgings compare with, which therefore have to stay.

    Those are the version in production (0: none) with what it was itself compared with, for an unchanged
    delivery, and the best of those that were measured on what was judged on last.
    """
    judged = [event for event in events if event.statistics]
    on = {name: statistic.on for name, statistic in (judged[-1].statistics or {}).items()} if judged else {}
    kept = {event.version for event in best_so_far(events, on, there).values()}
    kept |= {rival.version for rival in rivals(events, production, production, None, on, there)}
    promotions = [event for event in events if _promotes(event, production)]
    if promotions and promotions[-1].champion is not None:
        kept.add(promotions[-1].champion)
    return (kept | {production}) & {*there}


def _promotes(event: Event, version: int) -> bool:
    return (event.event, event.version) == ("promoted", version)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
