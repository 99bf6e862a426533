"""A channel's Deployment as the backend uses it: inspected, patched and paused; why its pods do not serve."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.channels.backend import Channel
from tasks.channels.cluster import Cluster, Unsteady
from tasks.channels.deployment import ANEW, DOCUMENT, Rollout
from tasks.channels.health import Refusals
from tasks.channels.inspection import answer_of
from tasks.channels.pods import Json, conditions, is_ready, trouble

logger = logging.getLogger(__name__)

PORT = 8501  # of the Services and of the pods


@dataclass(frozen=True)
class Deployed:
    """The Deployment and the Service `name` of a channel."""

    cluster: Cluster
    name: str
    channel: Channel

    @property
    def host(self) -> str:
        """The name of the Service inside the cluster."""
        return f"{self.name}.{self.cluster.namespace}.svc"

    def inspect(self) -> Rollout:
        """Give the Deployment and its pods as they are now."""
        deployment = self.cluster.deployment(self.name)
        return Rollout(deployment, self.cluster.pods(deployment["spec"]["selector"]["matchLabels"]))

    def patch(self, document: str | None, *, replicas: int, paused: bool = False, anew: bool = False) -> None:
        """Give the pod template another document, in one request; `anew` makes new pods for the same one."""
        annotations = {DOCUMENT: document} | ({ANEW: datetime.now(UTC).isoformat()} if anew else {})
        template = {"metadata": {"annotations": annotations}}
        changes: Json = {"spec": {"paused": paused, "replicas": replicas, "template": template}}
        self.cluster.patch_deployment(self.name, changes)

    def pause(self) -> None:
        """Let no change of the template make pods until the next rollout, which pauses too if this fails."""
        try:
            self.cluster.patch_deployment(self.name, {"spec": {"paused": True}})
        except Unsteady as error:
            logger.warning("the Deployment of %s is not paused: %s", self.channel, error)

    def resume(self) -> None:
        """Let the present template make its pods."""
        self.cluster.patch_deployment(self.name, {"spec": {"paused": False}})

    def replace_template(self, template: Json, replicas: int) -> None:
        """Give it another pod template, whole, and let it make its pods, in one request."""
        self.cluster.replace_template(self.name, template, replicas)

    def template(self, rollout: Rollout) -> Json | None:
        """Give the template of the pods that serve the document now; that of the Deployment may be newer."""
        for pod in filter(is_ready, rollout.of_the_present):
            for owner in pod["metadata"].get("ownerReferences") or []:
                if owner["kind"] == "ReplicaSet":
                    template: Json = self.cluster.replica_set(owner["name"])["spec"]["template"]
                    labels = template["metadata"]["labels"]
                    del labels["pod-template-hash"]
                    return template
        return None

    def trouble(self, rollout: Rollout) -> str:
        """Say what keeps the wanted pods from coming."""
        for condition in conditions(rollout.deployment):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                return str(condition.get("message", condition.get("reason", "")))
        messages = (
            trouble(pod, self.cluster.warnings) for pod in rollout.of_the_present if not is_ready(pod)
        )
        return next(filter(None, messages), "")

    def refusal(self, rollout: Rollout, refusals: dict[str, Refusals]) -> str:
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

    def health(self) -> dict[str, Any] | None:
        """Give what the server behind the Service says of itself; None where none answers."""
        return answer_of(self.host, PORT)
