"""Why a pod does not come: in words, from its status and the warnings about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]

ON_ITS_WAY = ("ContainerCreating", "PodInitializing")


def is_ready(pod: Json) -> bool:
    """Tell whether a pod says that it is ready, and is not ending."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions(pod))


def is_live(pod: Json) -> bool:
    """Tell whether a pod has not ended: one that was evicted stays in the lists."""
    return pod["status"].get("phase") not in ("Failed", "Succeeded")


def trouble(pod: Json, warnings: Callable[[str], list[str]]) -> str:
    """Say what keeps a pod from running; empty where nothing does, or nothing is known yet.

    `warnings` gives the messages of the warnings about the object of a name, oldest first.
    """
    name = pod["metadata"]["name"]
    for condition in conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"the pod {name} cannot be placed: {condition.get('message', 'no reason is told')}"
    if pod["status"].get("phase") == "Failed" and (reason := pod["status"].get("reason")):
        return f"the pod {name} failed: {reason}: {pod['status'].get('message', '')}"
    for container in containers(pod):
        if message := container_trouble(container):
            return f"the pod {name}: {message}"
    if pod["status"].get("phase") == "Pending":
        # A volume that cannot be mounted is told nowhere else; a pod that waited for a node has one by now.
        messages = [message for message in warnings(name) if not message.startswith("FailedScheduling")]
        if messages:
            return f"the pod {name}: {messages[-1]}"
        # Nor is one that cannot be made for the node of the pod.
        for claim in claims(pod):
            if messages := warnings(claim):
                return f"the pod {name} waits for the claim {claim}: {messages[-1]}"
    return ""


def claims(pod: Json) -> list[str]:
    """Give the names of the claims that a pod mounts."""
    volumes = pod.get("spec", {}).get("volumes") or []
    return [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]


def container_trouble(container: Json) -> str:
    """Say what a container waits for, or why it ended; empty where it runs or is on its way."""
    waiting = container.get("state", {}).get("waiting") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    ended = container.get("state", {}).get("terminated") or last
    why = f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}" if ended else ""
    if (reason := waiting.get("reason", "")) and reason not in ON_ITS_WAY:
        message = f"{reason}: {waiting.get('message', '')}".rstrip(": ")
        return f"{message} (it ended with {why})" if why else message
    if ended and ended.get("exitCode"):
        return f"{container.get('name', 'a container')} ended with {why}"
    return ""


def conditions(item: Json) -> Iterable[Json]:
    """Give the conditions of an object's status."""
    found: list[Json] = item.get("status", {}).get("conditions") or []
    return found


def containers(pod: Json) -> list[Json]:
    """Give the states of a pod's containers, those that prepare it first."""
    status = pod["status"]
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
