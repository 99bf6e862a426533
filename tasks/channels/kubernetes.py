"""Channels in a cluster: a Deployment and a Service for each, `NAME-stage` and `NAME-production`.

The channel's document is an annotation of the Deployment's pod template, which the pods read as a file (the
downward API), so one patch of one Deployment is the rollout. Between rollouts the Deployments are paused:
no pod runs before the first delivery, and applying changed manifests replaces no pod of production.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from settings.errors import SlipwayError, Stopped, Surroundings, WrongInput
from tasks.channels.backend import (
    SERVE_IMAGE_RUNTIMES,
    Channel,
    Claim,
    Endpoint,
    Serving,
    replaced,
    unconditional,
)
from tasks.channels.cluster import Cluster, Unsteady
from tasks.channels.deployed import PORT, Deployed
from tasks.channels.deployment import Rollout, document_of
from tasks.channels.health import Refusals, roots_of, shortcoming
from tasks.channels.pods import Json
from tasks.release.document import Wanted
from tasks.store.token import read_token

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
UNDO_SECONDS = 90.0
END_SECONDS = 60.0  # above a pod's grace period
NOTHING = Wanted(version=0)


P = ParamSpec("P")
R = TypeVar("R")


def over_one_connection(
    method: Callable[Concatenate[KubernetesBackend, P], R],
) -> Callable[Concatenate[KubernetesBackend, P], R]:
    """Let a method make all its calls to the cluster with one client: a rollout polls hundreds of times."""

    @wraps(method)
    def connected(self: KubernetesBackend, /, *arguments: P.args, **named: P.kwargs) -> R:
        with self.cluster.connected():
            return method(self, *arguments, **named)

    return connected


class KubernetesBackend:
    """The backend for one model in the cluster that this process runs in; see Backend for the promises."""

    runtimes: tuple[str, ...] = SERVE_IMAGE_RUNTIMES

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        releases: Path,
        candidates: Path,
        rollout_seconds: float,
        token_file: Path | None = None,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.rollout_seconds = rollout_seconds
        self.cluster = cluster
        self.name = name
        self.releases = releases
        self.candidates = candidates
        self.token_file = token_file
        self.lock = lock

    @over_one_connection
    def put(
        self,
        channel: Channel,
        wanted: Wanted,
        *,
        should_stop: Callable[[], bool],
        claim: Claim = unconditional,
    ) -> Endpoint:
        """Bring the channel to serve what is wanted, by one patch; on failure the one before is put back."""
        deadline = time.monotonic() + self.rollout_seconds
        before = self._deployed(channel).inspect()
        if before.wanted == wanted and self._judge(channel, before).healthy:
            if not before.is_paused:  # a run was killed after its rollout, or somebody resumed it by hand
                self._deployed(channel).pause()
            return self.endpoint(channel)
        # Pods that have refused a release do not read it again, restored or not.
        anew = before.wanted == wanted and self._deployed(channel).refusal(before, {}) != ""
        with self.lock():
            claim()
            before = self._deployed(channel).inspect()
            template = self._deployed(channel).template(before)
            self._deployed(channel).patch(document_of(wanted), replicas=max(1, before.replicas), anew=anew)
        try:
            self._wait(channel, wanted, deadline, should_stop)
        except BaseException:
            self._undo(channel, wanted, before, template, should_stop)
            raise
        self._deployed(channel).pause()
        return self.endpoint(channel)

    def document(self, channel: Channel) -> Wanted | None:
        """Give what the document says; None where there is none or it cannot be read."""
        return self._deployed(channel).inspect().wanted

    @over_one_connection
    def current(self, channel: Channel) -> Serving | None:
        """Give what the channel serves; None if nothing is meant to be served."""
        rollout = self._deployed(channel).inspect()
        if not rollout.document or not rollout.replicas:
            return None
        return self._judge(channel, rollout)

    @over_one_connection
    def remove(self, channel: Channel, *, claim: Claim = unconditional, keep: bool = False) -> None:
        """Scale the channel to nothing, and wait until its pods are gone."""
        before = self._deployed(channel).inspect()
        if not before.live and not (before.document and before.replicas):
            return  # also where somebody scaled it down: its document stays, for when it is scaled up again
        with self.lock():
            claim()
            self._deployed(channel).patch(None, replicas=0, paused=True)
        deadline = time.monotonic() + END_SECONDS
        while (now := self._deployed(channel).inspect()).live:
            if now.document:
                raise replaced(channel, NOTHING, now.wanted)
            if time.monotonic() > deadline:
                raise Surroundings(f"the pods of {channel} have not ended within {END_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        logger.info("the pods of %s have ended", channel)

    def kept(self, channel: Channel) -> Wanted | None:
        """Give None: the history alone tells what was served before."""
        return None

    def check(self, channel: Channel) -> None:
        """Raise Surroundings unless the channel's Deployment is there and may be read.

        WrongInput says that its pods ask for a token and this one has none, or that they ask for none.
        """
        if self.token_file is not None:
            read_token(self.token_file)
        asks = self._deployed(channel).inspect().asks_for_token
        if asks and self.token_file is None:
            raise WrongInput(
                f"the pods of {channel} ask for a token, and this one has none: apply the manifests with the "
                "component `token`, and register the deployments anew (make manifests deployments)"
            )
        if self.token_file is not None and not asks:
            raise WrongInput(
                f"the pods of {channel} ask for no token, and this one has {self.token_file}: apply the "
                "manifests with the component `token`, or remove its ConfigMap serving-token"
            )

    def endpoint(self, channel: Channel) -> Endpoint:
        """Give where the channel answers, or would, inside the cluster."""
        url = f"http://{self._deployed(channel).host}:{PORT}"
        return Endpoint(url, self.name, self.token_file)

    def _judge(self, channel: Channel, rollout: Rollout) -> Serving:
        """Compare what answers with what is wanted."""
        endpoint, wanted = self.endpoint(channel), rollout.wanted
        health = self._deployed(channel).health()
        version = int(health["version"]) if health else 0
        if not rollout.is_complete:
            detail = self._deployed(channel).trouble(rollout) or rollout.shortfall
        elif health is None:
            detail = "its Service does not answer"
        else:
            detail = shortcoming(health, wanted, roots_of(channel, self.releases, self.candidates))
        digest, fallback = (str(health["digest"]), bool(health.get("fallback"))) if health else ("", False)
        return Serving(version, not detail, endpoint, detail, wanted, digest, fallback)

    def _wait(
        self,
        channel: Channel,
        wanted: Wanted | None,
        deadline: float,
        should_stop: Callable[[], bool],
    ) -> None:
        """Wait until the pods of the present template alone are there and serve what is wanted."""
        logged = ""
        refusals: dict[str, Refusals] = {}  # by pod
        while True:
            try:
                rollout = self._deployed(channel).inspect()
                if wanted is not None and rollout.document != document_of(wanted):
                    raise replaced(channel, wanted, rollout.wanted)
                if rollout.is_paused:  # the manifests were applied meanwhile
                    self._deployed(channel).resume()
                if rollout.is_complete and (not rollout.replicas or self._judge(channel, rollout).healthy):
                    return
                trouble_now = self._deployed(channel).trouble(rollout)
                refusal = self._deployed(channel).refusal(rollout, refusals)
            except Unsteady as error:
                trouble_now, refusal = str(error), ""
            if refusal:
                raise Surroundings(f"{channel}: {refusal}")
            if trouble_now and trouble_now != logged:
                logger.warning("%s: %s", channel, trouble_now)
                logged = trouble_now
            version = wanted.version if wanted else "none"
            if should_stop():
                raise Stopped(f"stopped before {channel} served version {version}")
            if time.monotonic() > deadline:
                why = trouble_now or logged or "its pods are not ready, and nothing tells why"
                raise Surroundings(f"{channel} did not serve version {version} in time: {why}")
            time.sleep(POLL_SECONDS)

    def _undo(
        self,
        channel: Channel,
        wanted: Wanted,
        before: Rollout,
        template: Json | None,
        should_stop: Callable[[], bool],
    ) -> None:
        """Put back what was there before, and wait for it; what goes wrong then is only logged.

        With its template, so that a change of the manifests that came with the rollout goes too: then its
        pods are those of before. A run that has to stop does not wait: the cluster brings it back by itself.
        Only where the document is still that of `wanted`: who replaced it has decided otherwise.
        """
        try:
            with self.lock():
                if self._deployed(channel).inspect().document != document_of(wanted):
                    return
                if not before.document or not before.replicas:
                    self._deployed(channel).patch(before.document or None, replicas=0, paused=True)
                    return
                if template:
                    self._deployed(channel).replace_template(template, before.replicas)
                else:
                    self._deployed(channel).patch(before.document, replicas=before.replicas)
            self._wait(channel, before.wanted, time.monotonic() + UNDO_SECONDS, should_stop)
            self._deployed(channel).pause()
        except SlipwayError as error:
            logger.error("what %s served before does not come back: %s", channel, error)

    def _deployed(self, channel: Channel) -> Deployed:
        return Deployed(self.cluster, f"{self.name}-{channel}", channel)
