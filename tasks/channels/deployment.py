"""A channel's Deployment and its pods at one moment, and the document that its pod template holds."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tasks.channels.pods import Json, is_live, is_ready
from tasks.release.document import Wanted

DOCUMENT = "slipway/document"  # the annotation of the pod template
ANEW = "slipway/anew"  # another one, by which the same document makes new pods


@dataclass(frozen=True)
class Rollout:
    """A channel's Deployment and its pods at one moment."""

    deployment: Json
    pods: list[Json]

    @property
    def document(self) -> str:
        """What the pods are wanted to serve; empty before the first delivery."""
        metadata = self.deployment["spec"]["template"].get("metadata") or {}
        return str((metadata.get("annotations") or {}).get(DOCUMENT, ""))

    @property
    def wanted(self) -> Wanted | None:
        """The document, read; None where there is none, or it cannot be read. Raises Newer."""
        return Wanted.read(self.document, f"the annotation {DOCUMENT} of its Deployment")

    @property
    def asks_for_token(self) -> bool:
        """Whether the model server of the template asks for a token."""
        pod = self.deployment["spec"]["template"].get("spec") or {}
        return any("--token-file" in (one.get("args") or []) for one in pod.get("containers", []))

    @property
    def replicas(self) -> int:
        """How many pods are wanted."""
        return int(self.deployment["spec"].get("replicas", 1))

    @property
    def is_paused(self) -> bool:
        """Whether a change of the template makes no pods."""
        return bool(self.deployment["spec"].get("paused"))

    @property
    def live(self) -> list[Json]:
        """The pods that have not ended."""
        return [pod for pod in self.pods if is_live(pod)]

    @property
    def is_complete(self) -> bool:
        """Whether exactly the wanted pods are there, all of the present template, and ready."""
        status = self.deployment.get("status", {})
        seen = status.get("observedGeneration", 0) >= self.deployment["metadata"]["generation"]
        counts = [int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        ready = [pod for pod in self.live if is_ready(pod)]
        return seen and {*counts, len(self.live), len(ready)} == {self.replicas}

    @property
    def shortfall(self) -> str:
        """What is missing to a complete rollout, in words."""
        if self.is_paused and not self.deployment.get("status", {}).get("updatedReplicas"):
            return "its Deployment has changed since, which the next rollout brings"
        ready = sum(map(is_ready, self.of_the_present))
        return f"{ready} of its {self.replicas} pods are ready"

    @property
    def of_the_present(self) -> list[Json]:
        """The pods that were made from the present document, and since pods were made anew for it."""
        present = _made_from(self.deployment["spec"]["template"].get("metadata") or {})
        return [pod for pod in self.pods if _made_from(pod["metadata"]) == present]


def _made_from(metadata: Json) -> tuple[str, ...]:
    annotations = metadata.get("annotations") or {}
    return tuple(annotations.get(name, "") for name in (DOCUMENT, ANEW))


def document_of(wanted: Wanted) -> str:
    """Give the text of a document, the same for the same wish."""
    return json.dumps(wanted.as_json(), sort_keys=True)
