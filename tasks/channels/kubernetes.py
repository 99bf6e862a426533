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
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

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
from tasks.channels.deployment import ANEW, DOCUMENT, Rollout, document_of
from tasks.channels.health import Refusals, roots_of, shortcoming
from tasks.channels.inspection import answer_of
from tasks.channels.pods import Json, conditions, is_ready, trouble
from tasks.release.document import Wanted
from tasks.store.token import read_token

logger = logging.getLogger(__name__)

PORT = 8501  # of the Services and of the pods
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
        before = self._inspect(channel)
        if before.wanted == wanted and self._judge(channel, before).healthy:
            if not before.is_paused:  # a run was killed after its rollout, or somebody resumed it by hand
                self._pause(channel)
            return self.endpoint(channel)
        # Pods that have refused a release do not read it again, restored or not.
        anew = before.wanted == wanted and self._refusal(before, {}) != ""
        with self.lock():
            claim()
            before = self._inspect(channel)
            template = self._template(before)
            self._patch(channel, document_of(wanted), replicas=max(1, before.replicas), anew=anew)
        try:
            self._wait(channel, wanted, deadline, should_stop)
        except BaseException:
            self._undo(channel, wanted, before, template, should_stop)
            raise
        self._pause(channel)
        return self.endpoint(channel)

    def document(self, channel: Channel) -> Wanted | None:
        """Give what the document says; None where there is none or it cannot be read."""
        return self._inspect(channel).wanted

    @over_one_connection
    def current(self, channel: Channel) -> Serving | None:
        """Give what the channel serves; None if nothing is meant to be served."""
        rollout = self._inspect(channel)
        if not rollout.document or not rollout.replicas:
            return None
        return self._judge(channel, rollout)

    @over_one_connection
    def remove(self, channel: Channel, *, claim: Claim = unconditional, keep: bool = False) -> None:
        """Scale the channel to nothing, and wait until its pods are gone."""
        before = self._inspect(channel)
        if not before.live and not (before.document and before.replicas):
            return  # also where somebody scaled it down: its document stays, for when it is scaled up again
        with self.lock():
            claim()
            self._patch(channel, None, replicas=0, paused=True)
        deadline = time.monotonic() + END_SECONDS
        while (now := self._inspect(channel)).live:
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
        """Raise Surroundings unless the channel's Deployment is there and may be looked at.

        WrongInput says that its pods ask for a token and this one has none, or that they ask for none.
        """
        if self.token_file is not None:
            read_token(self.token_file)
        asks = self._inspect(channel).asks_for_token
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
        url = f"http://{self._deployment(channel)}.{self.cluster.namespace}.svc:{PORT}"
        return Endpoint(url, self.name, self.token_file)

    def _judge(self, channel: Channel, rollout: Rollout) -> Serving:
        """Compare what answers with what is wanted."""
        endpoint, wanted = self.endpoint(channel), rollout.wanted
        health = self._ask_service(channel)
        version = int(health["version"]) if health else 0
        if not rollout.is_complete:
            detail = self._trouble(rollout) or rollout.shortfall
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
        told = ""
        refusals: dict[str, Refusals] = {}  # by pod
        while True:
            try:
                rollout = self._inspect(channel)
                if wanted is not None and rollout.document != document_of(wanted):
                    raise replaced(channel, wanted, rollout.wanted)
                if rollout.is_paused:  # the manifests were applied meanwhile
                    self.cluster.patch_deployment(self._deployment(channel), {"spec": {"paused": False}})
                if rollout.is_complete and (not rollout.replicas or self._judge(channel, rollout).healthy):
                    return
                trouble_now = self._trouble(rollout)
                refusal = self._refusal(rollout, refusals)
            except Unsteady as error:
                trouble_now, refusal = str(error), ""
            if refusal:
                raise Surroundings(f"{channel}: {refusal}")
            if trouble_now and trouble_now != told:
                logger.warning("%s: %s", channel, trouble_now)
                told = trouble_now
            version = wanted.version if wanted else "none"
            if should_stop():
                raise Stopped(f"stopped before {channel} served version {version}")
            if time.monotonic() > deadline:
                why = trouble_now or told or "its pods are not ready, and nothing tells why"
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
        """Put back what was there before, and wait for it; what goes wrong then is only told.

        With its template, so that a change of the manifests that came with the rollout goes too: then its
        pods are those of before. A run that has to stop does not wait: the cluster brings it back by itself.
        Only where the document is still that of `wanted`: who replaced it has decided otherwise.
        """
        try:
            with self.lock():
                if self._inspect(channel).document != document_of(wanted):
                    return
                if not before.document or not before.replicas:
                    self._patch(channel, before.document or None, replicas=0, paused=True)
                    return
                if template:
                    self.cluster.replace_template(self._deployment(channel), template, before.replicas)
                else:
                    self._patch(channel, before.document, replicas=before.replicas)
            self._wait(channel, before.wanted, time.monotonic() + UNDO_SECONDS, should_stop)
            self._pause(channel)
        except SlipwayError as error:
            logger.error("what %s served before does not come back: %s", channel, error)

    def _patch(
        self,
        channel: Channel,
        document: str | None,
        *,
        replicas: int,
        paused: bool = False,
        anew: bool = False,
    ) -> None:
        annotations = {DOCUMENT: document} | ({ANEW: datetime.now(UTC).isoformat()} if anew else {})
        template = {"metadata": {"annotations": annotations}}
        changes: Json = {"spec": {"paused": paused, "replicas": replicas, "template": template}}
        self.cluster.patch_deployment(self._deployment(channel), changes)

    def _pause(self, channel: Channel) -> None:
        """Let no change of the template make pods until the next rollout, which pauses too if this fails."""
        try:
            self.cluster.patch_deployment(self._deployment(channel), {"spec": {"paused": True}})
        except Unsteady as error:
            logger.warning("the Deployment of %s is not paused: %s", channel, error)

    def _template(self, rollout: Rollout) -> Json | None:
        """Give the template of the pods that serve the document now; that of the Deployment may be newer."""
        for pod in filter(is_ready, rollout.of_the_present):
            for owner in pod["metadata"].get("ownerReferences") or []:
                if owner["kind"] == "ReplicaSet":
                    template: Json = self.cluster.replica_set(owner["name"])["spec"]["template"]
                    labels = template["metadata"]["labels"]
                    del labels["pod-template-hash"]
                    return template
        return None

    def _inspect(self, channel: Channel) -> Rollout:
        deployment = self.cluster.deployment(self._deployment(channel))
        return Rollout(deployment, self.cluster.pods(deployment["spec"]["selector"]["matchLabels"]))

    def _trouble(self, rollout: Rollout) -> str:
        """Say what keeps the wanted pods from coming."""
        for condition in conditions(rollout.deployment):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                return str(condition.get("message", condition.get("reason", "")))
        told = (trouble(pod, self.cluster.warnings) for pod in rollout.of_the_present if not is_ready(pod))
        return next(filter(None, told), "")

    def _refusal(self, rollout: Rollout, refusals: dict[str, Refusals]) -> str:
        """Say what a server of the wanted pods says against its release, where waiting does not help."""
        for pod in rollout.of_the_present:
            address = pod["status"].get("podIP")
            # A pod whose server fell back on the version before is ready.
            if address and "deletionTimestamp" not in pod["metadata"]:
                health = answer_of(address, PORT)
                doubt = refusals.setdefault(pod["metadata"]["name"], Refusals())
                if health and (refusal := doubt.believed(health)):
                    return refusal
        return ""

    def _ask_service(self, channel: Channel) -> dict[str, Any] | None:
        return answer_of(f"{self._deployment(channel)}.{self.cluster.namespace}.svc", PORT)

    def _deployment(self, channel: Channel) -> str:
        return f"{self.name}-{channel}"
