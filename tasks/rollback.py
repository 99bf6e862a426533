"""The way back: an earlier version goes into production again, at once, whatever else is running."""

from __future__ import annotations

import logging

from settings.errors import WrongInput
from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.channels.backend import Backend
from tasks.prepare import check_runtime, mend_releases
from tasks.production import Promotion, bring
from tasks.release.registry import Registry
from tasks.workplace import Workplace

logger = logging.getLogger(__name__)


def go_back(
    place: Workplace, to: int, why: str, judging: JudgingSettings, serving: ServingSettings
) -> Promotion:
    """Put version `to` into production (0: the one that was there before), and probe it there.

    What is served when this is called decides which one was before, and the decision stands whatever a
    delivery does meanwhile. It is served as production is, by its document, else as `serving` says. Of
    `judging`, the probe takes the tolerances.
    """
    serving = as_served(place.backend, serving)
    check_runtime(place.backend, serving)
    place.backend.check("production")
    present = place.version_to_leave()
    mend_releases(place)
    version = to or version_before(place.registry, present)
    check_served(place.registry, version, present)
    reason = why or f"went back from version {present or 'none'}"
    return bring(place, version, judging, serving, event="rolled back", why=reason, left=present or None)


def as_served(backend: Backend, serving: ServingSettings) -> ServingSettings:
    """Give the runtime and the limits that production is served with, or was when it was stopped."""
    for recorded in (backend.document("production"), backend.kept("production")):
        if recorded is not None and recorded.version:
            limits = {name: getattr(recorded, name) for name in ("runtime", "max_request_mib", "max_images")}
            return serving.model_copy(update=limits)
    return serving


def check_served(registry: Registry, version: int, present: int) -> None:
    """Refuse a version that was never in production; the history tells, and not where its folder stands."""
    registry.folder(version)  # an unknown version is named as such
    if version != present and version not in registry.history.promoted():
        raise WrongInput(f"version {version} was never promoted: deliver it through its gates")


def version_before(registry: Registry, present: int) -> int:
    """Give the version that was in production before the present one; WrongInput where there is none.

    A version that was removed by hand is stepped over.
    """
    served = registry.history.served()
    before = served[: served.index(present)] if present in served else served
    there = registry.versions().keys()
    removed = []
    for version in reversed(before):
        if version in there:
            return version
        removed.append(version)
        logger.warning("version %s, which was in production before, was removed: it is stepped over", version)
    others = sorted((registry.history.promoted() & there) - {present})
    lost = f" (removed by hand: {', '.join(map(str, removed))})" if removed else ""
    way = f"; --to can name {' or '.join(map(str, others))}" if others else ""
    raise WrongInput(f"there is no earlier version of {registry.name} in production to go back to{lost}{way}")
