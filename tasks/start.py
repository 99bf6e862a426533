"""Starting again what the channels are meant to serve; no other version is wanted afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.channels.backend import Channel, replaced
from tasks.channels.rollout import probe
from tasks.channels.wanted import wanted
from tasks.mend import restore_release
from tasks.release.document import Wanted
from tasks.release.reader import Release
from tasks.stopping import should_stop
from tasks.workplace import Workplace

CHANNELS: tuple[Channel, ...] = ("production", "stage")  # what matters first


def meant(place: Workplace, channel: Channel, serving: ServingSettings) -> Wanted | None:
    """Give what a channel is meant to serve; None for nothing.

    It is what its document says; after a stop, what the document said then; where production has neither, the
    version that the history knows as the last one served there.
    """
    for recorded in (place.backend.document(channel), place.backend.kept(channel)):
        if recorded is not None and recorded.version:
            return recorded
    served = place.registry.history.served() if channel == "production" else []
    if not served:
        return None
    return replace(wanted(served[-1], serving), previous=place.registry.before(served[-1]))


def start(place: Workplace, judging: JudgingSettings, serving: ServingSettings) -> Iterator[str]:
    """Bring each channel to serve what it is meant to, and probe it; say for each what was done.

    Of `judging`, the probe takes the tolerances.
    """
    name = place.registry.name
    for channel in CHANNELS:
        wish = meant(place, channel, serving)
        if wish is None:
            before = " was in production yet" if channel == "production" else " is wanted there"
            yield f"{channel:<10}  nothing to start: no version of {name}{before}"
            continue
        restore_release(place, wish.version)
        present = place.backend.current(channel)

        def claim(channel: Channel = channel, wish: Wanted = wish) -> None:
            if meant(place, channel, serving) != wish:  # somebody was quicker
                raise replaced(channel, wish, place.backend.document(channel))

        endpoint = place.backend.put(
            channel,
            wish,
            should_stop=should_stop,
            claim=claim,
        )
        release = Release(place.registry.folder(wish.version))
        probe(endpoint, release, wish.version, rtol=judging.parity_rtol)
        was_there = present is not None and present.healthy
        verb = "is served already" if was_there else "is served"
        yield f"{channel:<10}  version {wish.version} of {name} {verb} at {endpoint.url}"
