"""Why a pod does not come, from statuses as a cluster gives them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.channels.pods import is_ready, trouble

PULL = {
    "name": "flow",
    "ready": False,
    "state": {
        "waiting": {
            "reason": "ErrImagePull",
            "message": 'failed to pull image "slipway/flow:nope": not found',
        }
    },
}
CRASHING = {
    "name": "server",
    "state": {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}
    },
    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
}
CREATING = {"name": "flow", "state": {"waiting": {"reason": "ContainerCreating"}}}
ENDED = {"name": "flow", "state": {"terminated": {"reason": "Error", "exitCode": 2}}}
RUNNING = {"name": "flow", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "lastState": {}}


def pod(*containers: dict[str, Any], phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p-1"},
        "status": {"phase": phase, "containerStatuses": list(containers), **status},
    }


def no_warnings(name: str) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pod(PULL), 'the pod p-1: ErrImagePull: failed to pull image "slipway/flow:nope": not found'),
        (
            pod(CRASHING, phase="Running"),
            "the pod p-1: CrashLoopBackOff: back-off 20s restarting failed container "
            "(it ended with OOMKilled, exit code 137)",
        ),
        (pod(ENDED, phase="Failed"), "the pod p-1: flow ended with Error, exit code 2"),
        (
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": '0/1 nodes are available: persistentvolumeclaim "d" not found',
                    }
                ]
            ),
            'the pod p-1 cannot be placed: 0/1 nodes are available: persistentvolumeclaim "d" not found',
        ),
        (
            pod(phase="Failed", reason="Evicted", message="the node had little memory"),
            "the pod p-1 failed: Evicted: the node had little memory",
        ),
        (pod(RUNNING, phase="Running"), ""),
        (pod(CREATING), ""),
    ],
)
def test_the_reason_is_that_of_the_status(given, said):
    """The status of the pod or of its container tells, with the cluster's own words."""
    assert trouble(given, no_warnings) == said


def test_a_volume_that_cannot_be_mounted_is_told_by_the_warnings_alone():
    """A container that is being created says nothing itself: the newest warning about its pod does."""
    asked = []

    def warnings(name: str) -> list[str]:
        asked.append(name)
        return ["FailedMount: older", 'FailedMount: secret "s" not found']

    assert trouble(pod(CREATING), warnings) == 'the pod p-1: FailedMount: secret "s" not found'
    assert asked == ["p-1"]


def test_a_pod_that_waited_for_a_node_is_in_no_trouble_once_it_has_one():
    """While its image is pulled, the warnings of before are no reason to end it."""
    assert trouble(pod(CREATING), lambda name: ["FailedScheduling: 0/1 nodes are available"]) == ""


def test_a_claim_that_cannot_be_bound_is_told_by_its_own_warnings():
    """The pod that waits for it has none itself."""
    waiting = pod() | {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "models"}}]}}
    told = {"models": ["ProvisioningFailed: no space"]}
    said = trouble(waiting, lambda name: told.get(name, []))
    assert said == "the pod p-1 waits for the claim models: ProvisioningFailed: no space"


def test_a_pod_that_is_ending_is_not_ready():
    """It still says that it is, for as long as it drains."""
    ready = pod(RUNNING, phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert is_ready(ready)
    ready["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not is_ready(ready)
