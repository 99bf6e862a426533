"""Putting a version into production: renamed among the releases, rolled out, probed; undone when it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable

from settings.errors import SlipwayError, Surroundings
from tasks.channels.backend import Backend, Channel, Endpoint, Serving, Wanted
from tasks.channels.client import Client
from tasks.release.parity import compare
from tasks.release.reader import Release
from tasks.release.registry import Registry

logger = logging.getLogger(__name__)

# The gates have measured how exactly the endpoint answers; a probe asks whether it is that model at all.
LENIENCY = 100.0


def probe(endpoint: Endpoint, release: Release, version: int, *, rtol: float, atol: float) -> None:
    """Ask an endpoint for the release's golden images; Surroundings tells what it answers differently."""
    with Client(endpoint) as client:
        answer = client.predict(release.golden["imgs"])
    if answer.version != version:
        raise Surroundings(f"{endpoint.url} answers as version {answer.version}, not {version}")
    parity = compare(
        answer.outputs,
        release.expected(),
        rtol=LENIENCY * rtol,
        atol=LENIENCY * atol,
        threshold=release.threshold,
    )
    if not parity.agree:
        raise Surroundings(f"{endpoint.url} does not answer the golden images as version {version}: {parity}")


def roll_out(
    backend: Backend,
    registry: Registry,
    wanted: Wanted,
    *,
    deadline_seconds: float,
    rtol: float,
    atol: float,
    should_stop: Callable[[], bool],
) -> tuple[Endpoint, bool]:
    """Bring production to serve a version; give its endpoint, and whether anything had to change.

    What production serves already is only probed. A rollout that fails, or whose probe fails, is undone:
    the version before serves again, a candidate stands among the candidates again, and the error is raised.
    """
    channel: Channel = "production"
    version = wanted.version
    release = Release(registry.folder(version))
    before = backend.current(channel)
    if before is not None and before.healthy and before.wanted == wanted and registry.is_promoted(version):
        try:
            probe(before.endpoint, release, version, rtol=rtol, atol=atol)
            return before.endpoint, False
        except SlipwayError as error:
            logger.warning("production has to be mended: %s", error)
    release.verify()
    was_candidate = not registry.is_promoted(version)
    registry.promote(version)
    try:
        endpoint = backend.put(channel, wanted, deadline_seconds=deadline_seconds, should_stop=should_stop)
        probe(endpoint, Release(registry.folder(version)), version, rtol=rtol, atol=atol)
    except BaseException as error:
        logger.error("version %s did not come up in production: %s", version, error)
        try:
            undo(backend, before, wanted, deadline_seconds)
        except SlipwayError as another:
            logger.error("what was in production before does not come up either: %s", another)
        finally:
            if was_candidate:
                registry.demote(version)
        raise
    return endpoint, True


def undo(backend: Backend, before: Serving | None, wanted: Wanted, deadline_seconds: float) -> None:
    """Bring production back to what it served before a rollout of `wanted` failed."""
    if before is None:
        backend.remove("production")
    elif before.wanted is not None and before.wanted != wanted:
        backend.put("production", before.wanted, deadline_seconds=deadline_seconds, should_stop=lambda: False)
        logger.warning("version %s is in production again", before.wanted.version)


def bring_back(backend: Backend, *, deadline_seconds: float, should_stop: Callable[[], bool]) -> None:
    """Start production again where it is meant to serve a version and serves nothing: it has crashed.

    For a run that promotes nothing: where that fails, it is a warning and not the run's error.
    """
    serving = backend.current("production")
    if serving is None or serving.version or serving.wanted is None:
        return
    wanted = serving.wanted
    try:
        backend.put("production", wanted, deadline_seconds=deadline_seconds, should_stop=should_stop)
        logger.warning("production served nothing: version %s is brought back", wanted.version)
    except (Surroundings, OSError) as error:
        logger.warning(
            "production serves nothing, and version %s does not come up: %s", wanted.version, error
        )
