"""The Kubernetes API as the channels need it: a few calls from inside the cluster, in plain JSON.

Objects are dictionaries with the names of the manifests. Nothing here waits or decides.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from settings.errors import Surroundings

Json = dict[str, Any]
Result = TypeVar("Result")

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # what a pod is given to ask the API with
ANSWER_SECONDS = 10.0
MERGE = "application/merge-patch+json"
PASSING = {429, 500, 502, 503, 504}


class Unsteady(Surroundings):
    """The API did not answer, or could not for now: asking again may help."""


class Cluster:
    """One namespace of the cluster in which this process runs."""

    def __init__(self, namespace: str = "") -> None:
        """Take the namespace of the pod where none is named; Surroundings outside of a cluster."""
        if not (ACCOUNT / "token").is_file():
            raise Surroundings(
                "BACKEND=kubernetes works from inside the cluster, with the token of its account: start it "
                "there with `prefect deployment run deliver/kubernetes`, or unset BACKEND to deliver here"
            )
        self.namespace = namespace or (ACCOUNT / "namespace").read_text().strip()

    def deployment(self, name: str) -> Json:
        """Give a Deployment."""
        return self._call(
            f"get the Deployment {name}",
            lambda k8s, api: k8s.AppsV1Api(api).read_namespaced_deployment(
                name, self.namespace, _request_timeout=ANSWER_SECONDS
            ),
        )

    def patch_deployment(self, name: str, changes: Json) -> Json:
        """Merge changes into a Deployment, in one request; give it as it is then."""
        return self._call(
            f"patch the Deployment {name}",
            lambda k8s, api: k8s.AppsV1Api(api).patch_namespaced_deployment(
                name, self.namespace, changes, _content_type=MERGE, _request_timeout=ANSWER_SECONDS
            ),
        )

    def pods(self, labels: dict[str, str]) -> list[Json]:
        """Give the pods with these labels, those that are ending among them."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._call(
            "list pods",
            lambda k8s, api: k8s.CoreV1Api(api).list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=ANSWER_SECONDS
            ),
        )
        return list(found["items"])

    def pod(self, name: str) -> Json:
        """Give a pod."""
        return self._call(
            f"get the pod {name}",
            lambda k8s, api: k8s.CoreV1Api(api).read_namespaced_pod(
                name, self.namespace, _request_timeout=ANSWER_SECONDS
            ),
        )

    def jobs(self, labels: dict[str, str]) -> list[Json]:
        """Give the Jobs with these labels."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._call(
            "list jobs",
            lambda k8s, api: k8s.BatchV1Api(api).list_namespaced_job(
                self.namespace, label_selector=selector, _request_timeout=ANSWER_SECONDS
            ),
        )
        return list(found["items"])

    def delete_job(self, name: str) -> None:
        """Delete a Job and its pods."""
        self._call(
            f"delete the Job {name}",
            lambda k8s, api: k8s.BatchV1Api(api).delete_namespaced_job(
                name, self.namespace, propagation_policy="Background", _request_timeout=ANSWER_SECONDS
            ),
        )

    def warnings(self, name: str) -> list[str]:
        """Give the messages of the warnings about an object, oldest first."""
        found = self._call(
            "list events",
            lambda k8s, api: k8s.CoreV1Api(api).list_namespaced_event(
                self.namespace,
                field_selector=f"involvedObject.name={name},type=Warning",
                _request_timeout=ANSWER_SECONDS,
            ),
        )
        events = sorted(found["items"], key=lambda event: event.get("lastTimestamp") or "")
        return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in events]

    def _call(self, what: str, ask: Callable[[Any, Any], Awaitable[Any]]) -> Json:
        import aiohttp
        from kubernetes_asyncio import client, config

        async def call() -> Json:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
            async with client.ApiClient() as api:
                answer = await ask(client, api)
                plain: Json = api.sanitize_for_serialization(answer)
                return plain

        try:
            return asyncio.run(call())
        except client.ApiException as error:
            raise self._refused(
                what, error.status or 0, reason_of(error.body) or str(error.reason)
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unsteady(f"the Kubernetes API does not answer: {error or type(error).__name__}") from error

    def _refused(self, what: str, status: int, reason: str) -> Surroundings:
        if status == 404:
            return Surroundings(
                f"cannot {what}: it is not in the namespace {self.namespace}; bring up the manifests "
                "(kubectl apply -k deployments/kubernetes/overlays/…)"
            )
        if status == 403:
            return Surroundings(
                f"cannot {what}: {reason}; deployments/kubernetes/base/access.yaml lists the rights"
            )
        kind = Unsteady if status in PASSING else Surroundings
        return kind(f"cannot {what}: the Kubernetes API answers {status}: {reason}")


def own_image(environ: Mapping[str, str]) -> str:
    """Give the image that this process runs from: in a pod with its digest, as the node tells it.

    Elsewhere what SLIPWAY_IMAGE says; empty outside of a container.
    """
    named = environ.get("SLIPWAY_IMAGE", "")
    if not (name := environ.get("POD_NAME")) or not (ACCOUNT / "token").is_file():
        return named
    container: Json = Cluster(environ.get("NAMESPACE", "")).pod(name)["status"]["containerStatuses"][0]
    return str(container.get("imageID") or named)


def reason_of(body: str | bytes | None) -> str:
    """Give the message in the body of an answer of the API; empty where there is none."""
    try:
        return str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return ""
