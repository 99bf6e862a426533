"""The Kubernetes API as the channels need it: a few calls from inside the cluster, in plain JSON.

Objects are dictionaries with the names of the manifests. A call that the API could not answer is made again.
The calls of a rollout go over one connection: see `Cluster.connected`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from settings.errors import Surroundings
from tasks.channels.pods import Json

logger = logging.getLogger(__name__)

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # what a pod is given to ask the API with
ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = 20.0  # for an API that is overloaded, or starts anew
PAUSE_SECONDS = 1.0
# The answers as they came: the client's classes drop the fields that they do not know.
RAW: Mapping[str, Any] = {"_preload_content": False, "_request_timeout": ANSWER_SECONDS}
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
PASSING = {429, 500, 502, 503, 504}


class Unsteady(Surroundings):
    """The API did not answer, or could not for now, for longer than a call's patience."""


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
        self._connection: tuple[asyncio.Runner, Any] | None = None  # an event loop, and the client in it

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Make the calls of the block with one client; a call outside of such a block opens its own.

        Blocks may be nested. They belong to one thread at a time, as the client does.
        """
        if self._connection is not None:
            yield
            return
        from kubernetes_asyncio import client, config

        async def opened() -> Any:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
            return client.ApiClient()

        with asyncio.Runner() as runner:
            api = runner.run(opened())
            self._connection = (runner, api)
            try:
                yield
            finally:
                self._connection = None
                runner.run(api.close())

    def deployment(self, name: str) -> Json:
        """Give a Deployment."""
        return self._call(
            f"get the Deployment {name}",
            lambda k8s, api: k8s.AppsV1Api(api).read_namespaced_deployment(name, self.namespace, **RAW),
        )

    def patch_deployment(self, name: str, changes: Json) -> Json:
        """Merge changes into a Deployment, in one request; give it as it is then."""
        return self._call(
            f"patch the Deployment {name}",
            lambda k8s, api: k8s.AppsV1Api(api).patch_namespaced_deployment(
                name, self.namespace, changes, _content_type=MERGE_PATCH, **RAW
            ),
        )

    def replace_template(self, name: str, template: Json, replicas: int) -> None:
        """Give a Deployment another pod template, whole, and let it make its pods, in one request."""
        changes = [
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "add", "path": "/spec/replicas", "value": replicas},
            {"op": "add", "path": "/spec/paused", "value": False},
        ]
        self._call(
            f"patch the Deployment {name}",
            lambda k8s, api: k8s.AppsV1Api(api).patch_namespaced_deployment(
                name, self.namespace, changes, _content_type=JSON_PATCH, **RAW
            ),
        )

    def replica_set(self, name: str) -> Json:
        """Give a ReplicaSet."""
        return self._call(
            f"get the ReplicaSet {name}",
            lambda k8s, api: k8s.AppsV1Api(api).read_namespaced_replica_set(name, self.namespace, **RAW),
        )

    def pods(self, labels: dict[str, str]) -> list[Json]:
        """Give the pods with these labels, those that are ending among them."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._call(
            "list pods",
            lambda k8s, api: k8s.CoreV1Api(api).list_namespaced_pod(
                self.namespace, label_selector=selector, **RAW
            ),
        )
        return list(found["items"])

    def pod(self, name: str) -> Json:
        """Give a pod."""
        return self._call(
            f"get the pod {name}",
            lambda k8s, api: k8s.CoreV1Api(api).read_namespaced_pod(name, self.namespace, **RAW),
        )

    def jobs(self, labels: dict[str, str]) -> list[Json]:
        """Give the Jobs with these labels."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._call(
            "list jobs",
            lambda k8s, api: k8s.BatchV1Api(api).list_namespaced_job(
                self.namespace, label_selector=selector, **RAW
            ),
        )
        return list(found["items"])

    def delete_job(self, name: str) -> None:
        """Delete a Job and its pods."""
        self._call(
            f"delete the Job {name}",
            lambda k8s, api: k8s.BatchV1Api(api).delete_namespaced_job(
                name, self.namespace, propagation_policy="Background", **RAW
            ),
        )

    def warnings(self, name: str) -> list[str]:
        """Give the messages of the warnings about an object, oldest first."""
        found = self._call(
            "list events",
            lambda k8s, api: k8s.CoreV1Api(api).list_namespaced_event(
                self.namespace,
                field_selector=f"involvedObject.name={name},type=Warning",
                **RAW,
            ),
        )
        events = sorted(found["items"], key=lambda event: event.get("lastTimestamp") or "")
        return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in events]

    def _call(self, what: str, ask: Callable[[Any, Any], Awaitable[Any]]) -> Json:
        import aiohttp
        from kubernetes_asyncio import client

        async def call(api: Any) -> tuple[int, bytes]:
            answer = await ask(client, api)
            return answer.status, await answer.read()

        end = time.monotonic() + PATIENCE_SECONDS
        with self.connected():
            assert self._connection is not None  # noqa: S101 - for the type checker
            runner, api = self._connection
            while True:
                try:
                    status, body = runner.run(call(api))
                    if status < 300:
                        return dict(json.loads(body))
                    raise self._refused(what, status, reason_of(body))
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    unsteady = Unsteady(
                        f"the Kubernetes API does not answer: {error or type(error).__name__}"
                    )
                except Unsteady as error:
                    unsteady = error
                if time.monotonic() > end:
                    raise unsteady
                time.sleep(PAUSE_SECONDS)

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


def own_image(environ: Mapping[str, str]) -> str | None:
    """Give the image that this process runs from: in a pod with its digest, as the node tells it.

    Elsewhere what SLIPWAY_IMAGE says; None outside of a container, and where the cluster does not tell.
    """
    if not (name := environ.get("POD_NAME")) or not (ACCOUNT / "token").is_file():
        return environ.get("SLIPWAY_IMAGE") or None
    try:
        status: Json = Cluster(environ.get("NAMESPACE", "")).pod(name)["status"]
        return str(status["containerStatuses"][0]["imageID"]) or None
    except (Surroundings, OSError, KeyError, IndexError) as error:
        why = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else error
        logger.warning("the image of this pod is not known (%s): the manifest does not name it", why)
        return None


def reason_of(body: str | bytes | None) -> str:
    """Give the message in the body of an answer of the API; empty where there is none."""
    try:
        return str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return ""
