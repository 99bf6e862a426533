"""The rights of the accounts: all that each one has, and that it has nothing else."""

from __future__ import annotations

import pytest

from tests.kubernetes.manifests import NAMESPACE, build, of_kind, rights, run

ALLOWED = {
    "worker": {
        *((verb, "jobs.batch") for verb in ("create", "list", "watch", "get", "delete")),
        *((verb, "pods") for verb in ("list", "watch")),
        ("get", "pods/log"),
        ("list", "events"),
        *(("get", f"deployments.apps/mnist-{name}") for name in ("stage", "production")),
    },
    "tf-user": {
        *(
            (verb, f"deployments.apps/mnist-{name}")
            for verb in ("get", "patch")
            for name in ("stage", "production")
        ),
        *(
            (verb, what)
            for verb in ("get", "list", "watch")
            for what in ("replicasets.apps", "pods", "events")
        ),
    },
    "server": set(),
}
"""All that each account may do in its namespace."""

NEVER = {
    *((verb, "secrets") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    ("get", "secrets/prefect-auth"),
    *(
        (verb, what)
        for verb in ("get", "create")
        for what in ("pods/exec", "pods/attach", "pods/portforward")
    ),
    *((verb, "pods") for verb in ("create", "patch", "update", "delete")),
    ("create", "pods/eviction"),
    ("create", "pods/ephemeralcontainers"),
    *((verb, "deployments.apps") for verb in ("get", "list", "watch", "create", "patch", "update", "delete")),
    *((verb, "deployments.apps/prefect-server") for verb in ("get", "patch", "delete")),
    *((verb, "deployments.apps/prefect-worker") for verb in ("get", "patch", "delete")),
    *((verb, "deployments.apps/mnist-production") for verb in ("update", "delete", "deletecollection")),
    *((verb, "deployments.apps/mnist-stage") for verb in ("update", "delete")),
    ("patch", "deployments.apps/mnist-production/scale"),
    *((verb, "replicasets.apps") for verb in ("create", "patch", "delete")),
    *((verb, "statefulsets.apps") for verb in ("get", "create", "patch", "delete")),
    *((verb, "jobs.batch") for verb in ("patch", "update", "deletecollection")),
    ("create", "cronjobs.batch"),
    *((verb, "configmaps") for verb in ("get", "list", "create", "patch")),
    *((verb, "services") for verb in ("get", "create", "patch", "delete")),
    *((verb, "persistentvolumeclaims") for verb in ("get", "create", "patch", "delete")),
    *((verb, "resourcequotas") for verb in ("get", "patch", "delete")),
    *((verb, "networkpolicies.networking.k8s.io") for verb in ("get", "patch", "delete")),
    *((verb, "serviceaccounts") for verb in ("get", "create", "impersonate")),
    ("create", "serviceaccounts/token"),
    *((verb, "roles.rbac.authorization.k8s.io") for verb in ("get", "create", "patch", "bind", "escalate")),
    *((verb, "rolebindings.rbac.authorization.k8s.io") for verb in ("get", "create", "patch")),
    ("create", "events"),
    ("*", "*"),
}
"""A sample of what no account may do, beside all that only another account may."""

CLUSTER_WIDE = [
    *(
        ("list", what)
        for what in ("pods", "jobs.batch", "events", "secrets", "deployments.apps", "replicasets.apps")
    ),
    *((verb, "nodes") for verb in ("get", "list")),
    *((verb, "namespaces") for verb in ("get", "list", "create", "patch")),
    ("list", "persistentvolumes"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
]
"""What no account may do outside its namespace."""


def may(account: str, verb: str, resource: str, *where: str) -> bool:
    """Ask the cluster whether an account may do something."""
    kind, *rest = resource.split("/", 1)
    options: list[str] = []
    # kubectl has an option for what stands below a kind; everything else after the stroke is a name.
    if rest and rest[0] in (
        "log",
        "exec",
        "attach",
        "portforward",
        "eviction",
        "ephemeralcontainers",
        "token",
    ):
        options, rest = [f"--subresource={rest[0]}"], []
    elif rest and "/" in rest[0]:
        name, below = rest[0].split("/")
        options, rest = [f"--subresource={below}"], [name]
    user = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
    said = run("kubectl", "auth", "can-i", verb, "/".join([kind, *rest]), user, *options, *where)
    assert said.stdout.strip() in ("yes", "no"), said.stderr
    return said.stdout.strip() == "yes"


@pytest.mark.parametrize("account", ALLOWED)
def test_an_account_may_what_it_needs_and_nothing_else(namespace, account):
    """The whole matrix: what is given, what only others have, and a sample of what none has."""
    asked = set().union(*ALLOWED.values()) | NEVER
    answers = {(verb, what): may(account, verb, what, "-n", namespace) for verb, what in asked}
    # Whoever may do it to all of a kind may do it to the one.
    assert {what for what, answer in answers.items() if answer} == ALLOWED[account]
    assert [what for what in CLUSTER_WIDE if may(account, *what, "--all-namespaces")] == []


@pytest.mark.parametrize("account", ALLOWED)
def test_the_roles_hold_what_the_matrix_tells(account):
    """No right is given that the matrix does not name."""
    objects = build("overlays/minikube", NAMESPACE)
    given = set()
    for role in of_kind(objects, "Role"):
        bound = [
            one
            for one in of_kind(objects, "RoleBinding")
            if one["roleRef"]["name"] == role["metadata"]["name"]
        ]
        if account in [subject["name"] for one in bound for subject in one["subjects"]]:
            given |= rights(role)
    assert given == ALLOWED[account]
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
