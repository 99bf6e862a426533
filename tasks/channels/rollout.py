"""Putting a version into production: renamed among the releases, rolled out, probed; undone when it fails.

The renaming and production's document change together, under the model's lock; so do a last check of the
document and the line of the history. Between the two the lock is free, and what an operator decides then
stands: the rollout that was overtaken ends, and puts nothing back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from settings.errors import Overruled, SlipwayError, Surroundings
from tasks.channels.backend import Backend, Channel, Claim, Endpoint, Serving, replaced, unconditional
from tasks.channels.client import Client
from tasks.release.document import Wanted
from tasks.release.parity import compare
from tasks.release.reader import Release
from tasks.release.registry import Registry

logger = logging.getLogger(__name__)

# The gates have measured how exactly the endpoint answers; a probe asks whether it is that model at all.
LENIENCY = 100.0


def probe(endpoint: Endpoint, release: Release, version: int, *, rtol: float) -> None:
    """Ask an endpoint for the release's golden rows; Surroundings tells what it answers differently."""
    with Client(endpoint) as client:
        answer = client.predict(release.golden["imgs"])
    if answer.version != version:
        raise Surroundings(f"{endpoint.url} answers as version {answer.version}, not {version}")
    parity = compare(
        answer.outputs,
        release.expected(),
        rtol=LENIENCY * rtol,
        scales=release.scales,
        threshold=release.threshold,
    )
    if not parity.agree:
        raise Surroundings(f"{endpoint.url} does not answer the golden rows as version {version}: {parity}")


def roll_out(
    backend: Backend,
    registry: Registry,
    wanted: Wanted,
    *,
    rtol: float,
    should_stop: Callable[[], bool],
    claim: Claim = unconditional,
    record: Callable[[bool], object] = lambda changed: None,
) -> tuple[Endpoint, bool]:
    """Bring production to serve a version; give its endpoint, and whether anything had to change.

    What production serves already is only probed. `claim` is called under the model's lock before anything
    changes, and what it raises keeps it from changing; `record` is called under the lock, at the end, with
    whether anything did. A rollout that fails, or whose probe fails, is undone: the version before serves
    again, a candidate stands among the candidates again, and the error is raised. Overruled says that
    production was changed meanwhile: then it stays as it is.
    """
    channel: Channel = "production"
    version = wanted.version
    wanted = replace(wanted, previous=registry.before(version))
    release = Release(registry.folder(version))

    recorded = False

    def finish(changed: bool) -> None:
        nonlocal recorded
        with registry.lock():
            if (now := backend.document(channel)) != wanted:
                raise replaced(channel, wanted, now)
            record(changed)
            recorded = True

    before = backend.current(channel)
    if before is not None and before.healthy and before.wanted == wanted and registry.is_promoted(version):
        try:
            probe(before.endpoint, release, version, rtol=rtol)
        except SlipwayError as error:
            logger.warning("production has to be mended: %s", error)
        else:
            finish(False)
            return before.endpoint, False
    release.verify()
    was_candidate = not registry.is_promoted(version)

    def claim_and_rename() -> None:
        claim()
        registry.promote(version)

    try:
        endpoint = backend.put(
            channel,
            wanted,
            should_stop=should_stop,
            claim=claim_and_rename,
        )
        try:
            probe(endpoint, Release(registry.folder(version)), version, rtol=rtol)
        except SlipwayError as error:
            if (now := backend.document(channel)) != wanted:  # another version answered, or nobody
                raise replaced(channel, wanted, now) from error
            raise
        finish(True)
    except BaseException as error:
        if recorded:  # an interrupt that came after the end
            raise
        overtaken = isinstance(error, Overruled)
        try:
            if not overtaken:
                logger.error("version %s did not come up in production: %s", version, error)
                undo(backend, before, wanted)
        except SlipwayError as another:
            logger.error("what was in production before does not come up either: %s", another)
        finally:
            with registry.lock():
                now = backend.document(channel)
                # Whoever overtook this may want the same version.
                if was_candidate and not (overtaken and now is not None and now.version == version):
                    registry.demote(version)
        raise
    return endpoint, True


def undo(backend: Backend, before: Serving | None, wanted: Wanted) -> None:
    """Bring production back to what it served before a rollout of `wanted` failed.

    Where its document is not that of the rollout any more it is left alone: the backend has put back what was
    there, or somebody has decided otherwise.
    """
    channel: Channel = "production"

    def claim() -> None:
        if (now := backend.document(channel)) != wanted:
            raise replaced(channel, wanted, now)

    if backend.document(channel) != wanted:
        return
    try:
        if before is None:
            backend.remove(channel, claim=claim)
        elif before.wanted is not None and before.wanted != wanted:
            backend.put(
                channel,
                before.wanted,
                should_stop=lambda: False,
                claim=claim,
            )
            logger.warning("version %s is in production again", before.wanted.version)
    except Overruled as overtaken:
        logger.warning("%s: it stays so", overtaken)


def bring_back(backend: Backend, *, should_stop: Callable[[], bool], restored: bool = False) -> None:
    """Start production again where it is meant to serve a version and serves nothing: it has crashed.

    Where the wanted release was damaged and is `restored`, also where the version before is served for it.

    For a run that promotes nothing: where that fails, it is a warning and not the run's error.
    """
    serving = backend.current("production")
    if serving is None or serving.wanted is None or serving.version == serving.wanted.version:
        return
    if serving.version and not restored:
        return
    wanted, served = serving.wanted, f"version {serving.version}" if serving.version else "nothing"

    def claim() -> None:
        if (now := backend.document("production")) != wanted:
            raise replaced("production", wanted, now)

    try:
        backend.put(
            "production",
            wanted,
            should_stop=should_stop,
            claim=claim,
        )
        logger.warning("production served %s: version %s is brought back", served, wanted.version)
    except Overruled as overtaken:
        logger.warning("%s: it stays so", overtaken)
    except (Surroundings, OSError) as error:
        logger.warning(
            "production serves %s, and version %s does not come up: %s", served, wanted.version, error
        )
