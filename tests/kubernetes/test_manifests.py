"""The manifests as the cluster's API server takes them: no pod runs here."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tasks.serving.__main__ import parser
from tests.kubernetes.manifests import (
    COMPONENTS,
    NAMESPACE,
    OVERLAYS,
    ROOT,
    Object,
    build,
    done,
    dumped,
    flow_job,
    made,
    of_kind,
    quantity,
    rights,
    run,
    workloads,
)

CASES = [*(f"overlays/{name}" for name in OVERLAYS), *(f"components/{name}" for name in COMPONENTS)]


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_the_manifests(namespace, case):
    """Every object, without a warning: none of a field that is unknown, none of Pod Security."""
    objects = build(case, NAMESPACE)
    # The kinds of the Prometheus operator: a cluster without it does not know them.
    operated = [one for one in objects if one["apiVersion"].startswith("monitoring.coreos.com/")]
    if not done("kubectl", "api-resources", "--api-group=monitoring.coreos.com", "-o", "name").strip():
        objects = tuple(one for one in objects if one not in operated)
    said = done("kubectl", "apply", "--dry-run=server", "-f", "-", stdin=dumped(objects))
    assert "Warning" not in said
    assert len(said.splitlines()) == len(objects)
    assert bool(operated) == (case == "components/monitoring")


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_admitted(namespace, case):
    """Each pod template makes a pod that the namespace lets in: it enforces restricted Pod Security."""
    (labels,) = [
        one["metadata"]["labels"] for one in of_kind(build("overlays/minikube", NAMESPACE), "Namespace")
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    templates = workloads(build(case, NAMESPACE)) | {"flow": flow_job()["spec"]["template"]}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": one["spec"],
        }
        for name, one in templates.items()
    ]
    said = done("kubectl", "create", "--dry-run=server", "-f", "-", stdin=dumped(pods))
    assert said.count("created (server dry run)") == len(pods) >= 5


def test_the_namespace_lets_no_other_pod_in(namespace):
    """The test above can fail: the same pod as root is refused."""
    spec = workloads(build("overlays/minikube", NAMESPACE))["prefect-worker"]["spec"]
    spec = spec | {"securityContext": {"runAsUser": 0}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": namespace},
        "spec": spec,
    }
    ended = run("kubectl", "create", "--dry-run=server", "-f", "-", stdin=dumped([pod]))
    assert ended.returncode == 1
    assert 'violates PodSecurity "restricted' in ended.stderr


def test_the_job_of_a_flow_is_taken(namespace):
    """With the defaults of the template's variables, and without a warning."""
    job = flow_job(namespace=namespace)
    said = done("kubectl", "create", "--dry-run=server", "-f", "-", stdin=dumped([job]))
    assert said.strip().endswith("created (server dry run)")
    assert len(said.splitlines()) == 1


def asked_for(pod: Object) -> dict[str, Decimal]:
    """What a pod takes of the quota: its containers together, or the largest init container."""
    need = {}
    for name in ("requests.cpu", "requests.memory", "limits.memory"):
        kind, resource = name.split(".")
        running, starting = (
            [quantity(one["resources"][kind][resource]) for one in pod.get(part, [])]
            for part in ("containers", "initContainers")
        )
        need[name] = max(sum(running, Decimal(0)), *starting, Decimal(0))
    return need | {"pods": Decimal(1)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_quota_has_room(overlay):
    """For Prefect while it rolls, three models in a rollout, and two deliveries with trainings in pods."""
    objects = build(f"overlays/{overlay}", NAMESPACE)
    described = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    (train,) = [one for one in described if one["entrypoint"] == "flows.train.train"]
    flow = flow_job()["spec"]["template"]["spec"]
    training = flow_job(**train["work_pool"]["job_variables"])["spec"]["template"]["spec"]
    pods = [template["spec"] for template in workloads(objects).values()] * 2
    others = [one for name, one in workloads(objects).items() if name.startswith("mnist-")] * 2
    pods += [template["spec"] for template in others] * 2
    pods += [flow, training, training] * 2
    (quota,) = [one["spec"]["hard"] for one in of_kind(objects, "ResourceQuota")]
    needs = [asked_for(pod) for pod in pods]
    for name in needs[0]:
        assert sum(need[name] for need in needs) <= quantity(quota[name]), name
    assert len(of_kind(objects, "PersistentVolumeClaim")) <= quantity(quota["persistentvolumeclaims"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_tokens_are_where_they_are_used(overlay):
    """Only the worker and the flows talk to Kubernetes, and no pod is told of Services by its environment."""
    objects = build(f"overlays/{overlay}", NAMESPACE)
    pods = {name: one["spec"] for name, one in workloads(objects).items()}
    pods["flow"] = flow_job()["spec"]["template"]["spec"]
    mounted = {name for name, pod in pods.items() if pod["automountServiceAccountToken"]}
    assert mounted == {"prefect-worker", "flow"}
    assert [name for name, pod in pods.items() if pod["enableServiceLinks"]] == []
    assert not any(one["automountServiceAccountToken"] for one in of_kind(objects, "ServiceAccount"))


@pytest.mark.parametrize("case", CASES)
def test_versions_and_replicas_are_left_to_deliveries(case):
    """Neither stands in the manifests, so applying them again leaves production as it is."""
    channels = [
        one
        for one in of_kind(build(case, NAMESPACE), "Deployment")
        if one["metadata"]["name"].startswith("mnist-")
    ]
    assert {one["metadata"]["name"] for one in channels} == {"mnist-stage", "mnist-production"}
    for channel in channels:
        assert "replicas" not in channel["spec"]
        assert channel["spec"]["paused"] is True
        assert "slipway/document" not in channel["spec"]["template"]["metadata"].get("annotations", {})
        (models,) = [
            mount
            for mount in channel["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
            if mount["name"] == "models"
        ]
        assert models["readOnly"] is True


def test_the_token_is_that_of_the_servers_and_of_the_runs():
    """Both channels ask for it, a run reads the same Secret, and no manifest holds it."""
    objects = build("components/token", NAMESPACE)
    (told,) = [one for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"] == "serving-token"]
    assert not [one for one in of_kind(objects, "Secret") if one["metadata"]["name"] == "serving-token"]
    flow = flow_job()["spec"]["template"]["spec"]
    (variable,) = [one for one in flow["containers"][0]["env"] if one["name"] == "SERVING_TOKEN_FILE"]
    reference = variable["valueFrom"]["configMapKeyRef"]
    path = Path(told["data"][reference["key"]])
    assert reference["name"] == told["metadata"]["name"]
    pods = [workloads(objects)[f"mnist-{channel}"]["spec"] for channel in ("stage", "production")]
    for pod in (flow, *pods):
        mounts = {one["mountPath"]: one["name"] for one in pod["containers"][0]["volumeMounts"]}
        (volume,) = [one for one in pod["volumes"] if one["name"] == mounts[str(path.parent)]]
        assert volume["secret"]["secretName"] == "serving-token"
    for pod in pods:
        assert parser().parse_args(pod["containers"][0]["args"]).token_file == path
    without = workloads(build("overlays/minikube", NAMESPACE))
    assert "--token-file" not in without["mnist-production"]["spec"]["containers"][0]["args"]


def test_many_nodes_reach_the_volumes():
    """And pods of production spread over them where they can."""
    objects = build("overlays/multi-node", NAMESPACE)
    modes = {
        one["metadata"]["name"]: one["spec"]["accessModes"]
        for one in of_kind(objects, "PersistentVolumeClaim")
    }
    assert modes == {
        "data": ["ReadWriteMany"],
        "models": ["ReadWriteMany"],
        "prefect": ["ReadWriteOnce"],
        "postgres": ["ReadWriteOnce"],
    }
    template = workloads(objects)["mnist-production"]
    (spread,) = template["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert spread["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_the_server_of_postgres():
    """Its address of the database holds the password of the Secret; its home, with leases, is on a volume."""
    (server,) = workloads(build("overlays/multi-node", NAMESPACE))["prefect-server"]["spec"]["containers"]
    env = {one["name"]: one for one in server["env"]}
    source = env["POSTGRES_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert source == {"name": "postgres", "key": "password"}
    assert list(env).index("POSTGRES_PASSWORD") < list(env).index("PREFECT_SERVER_DATABASE_CONNECTION_URL")
    assert ":$(POSTGRES_PASSWORD)@" in env["PREFECT_SERVER_DATABASE_CONNECTION_URL"]["value"]
    assert env["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]["value"].endswith(".filesystem")
    assert env["PREFECT_HOME"]["value"] in [mount["mountPath"] for mount in server["volumeMounts"]]


def container(objects, workload: str, name: str) -> Object:
    """Give a container of a workload."""
    (found,) = [one for one in workloads(objects)[workload]["spec"]["containers"] if one["name"] == name]
    return dict(found)


def test_every_server_is_probed():
    """Each by an address that it has; a worker is alive while it polls, and a model server drains."""
    objects = build("overlays/minikube", NAMESPACE)
    server = container(objects, "prefect-server", "server")
    worker = container(objects, "prefect-worker", "worker")
    paths = {
        probe: server[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {
        "startupProbe": "/api/health",
        "readinessProbe": "/api/ready",
        "livenessProbe": "/api/health",
    }
    assert worker["livenessProbe"]["httpGet"] == {"path": "/health", "port": "health"}
    assert "--with-healthcheck" in worker["command"]
    for channel in ("mnist-stage", "mnist-production"):
        model = container(objects, channel, "server")
        assert model["startupProbe"]["httpGet"]["path"] == model["livenessProbe"]["httpGet"]["path"]
        assert model["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert model["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        assert model["lifecycle"]["preStop"]["sleep"]["seconds"] == {"mnist-stage": 1}.get(channel, 5)
    budgets = {
        one["metadata"]["name"]: one["spec"]["selector"]["matchLabels"]
        for one in of_kind(objects, "PodDisruptionBudget")
    }
    assert set(budgets) == {"mnist-stage", "mnist-production"}
    for name, labels in budgets.items():
        assert labels.items() <= workloads(objects)[name]["metadata"]["labels"].items()
        others = [one for other, one in workloads(objects).items() if other != name]
        assert not any(labels.items() <= one["metadata"]["labels"].items() for one in others)


def test_the_observer_looks_at_the_namespace_of_the_worker_alone():
    """Elsewhere its Role lets it see nothing, and no run would be Crashed with its reason."""
    env = container(build("overlays/minikube", NAMESPACE), "prefect-worker", "worker")["env"]
    values = {one["name"]: one for one in env}
    assert values["NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"
    assert values["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"]["value"] == "$(NAMESPACE)"
    assert list(values).index("NAMESPACE") < list(values).index(
        "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"
    )


REACHED_BY = {
    "prefect-server": {"prefect-worker", "flow"},
    "prefect-worker": set(),
    "mnist-stage": {"prefect-worker", "flow"},
    "mnist-production": {"everybody"},
    "postgres": {"prefect-server"},
    "flow": set(),
}
"""Which pods may reach which, by the NetworkPolicies."""


def test_the_policies_open_what_is_used_and_nothing_else():
    """Each pod is closed, and opened to the pods that ask it, at a port that it has."""
    objects = build("overlays/multi-node", NAMESPACE)
    templates = workloads(objects) | {"flow": flow_job()["spec"]["template"]}
    policies = of_kind(objects, "NetworkPolicy")

    def matches(selector: Object, template: Object) -> bool:
        wanted = selector.get("matchLabels", {}).items()
        return bool(wanted <= template["metadata"].get("labels", {}).items())

    reached: dict[str, set[str]] = {}
    for name, template in templates.items():
        mine = [one["spec"] for one in policies if matches(one["spec"]["podSelector"], template)]
        assert any("ingress" not in one for one in mine), f"{name} is closed"
        reached[name] = set()
        ports = {port["name"] for one in template["spec"]["containers"] for port in one.get("ports", [])}
        for rule in (rule for one in mine for rule in one.get("ingress", [])):
            assert {port["port"] for port in rule["ports"]} <= ports
            for peer in rule["from"]:
                asking = [
                    other for other, one in templates.items() if matches(peer.get("podSelector", {}), one)
                ]
                reached[name] |= {"everybody"} if "namespaceSelector" in peer else set(asking)
    assert reached == REACHED_BY


KINDS = ("Deployment", "PodDisruptionBudget", "Service")
RIGHTS = ("Role", "RoleBinding")


def keyed(objects) -> dict[tuple[str, str], Object]:
    """Objects by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


@pytest.mark.parametrize("components", ["", "token monitoring"])
@pytest.mark.parametrize("name", ["pictures", "prefect-server"])
def test_two_models_side_by_side(name, components):
    """What is there once is the same for both, and nothing of the one is in the manifests of the other."""
    ours, theirs = keyed(made("mnist", COMPONENTS=components)), keyed(made(name, COMPONENTS=components))
    assert all(ours[one] == theirs[one] for one in ours.keys() & theirs.keys())
    for objects, model in ((ours.keys() - theirs.keys(), "mnist"), (theirs.keys() - ours.keys(), name)):
        channels = {(kind, f"{model}-{channel}") for kind in KINDS for channel in ("stage", "production")}
        accounts = {(kind, f"{model}-{who}") for kind in RIGHTS for who in ("worker", "tf-user")}
        assert objects == channels | accounts


def test_no_pod_of_a_model_is_taken_for_another_s():
    """Each selector of a model's channel finds the pods of that channel alone, among those of all models."""
    names = ("mnist", "pictures", "prefect-server")
    templates = {name: one for model in names for name, one in workloads(made(model)).items()}
    assert len(templates) == 2 + 2 * len(names)
    for model in names:
        for one in of_kind(made(model), *KINDS):
            selector = one["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            found = [name for name, pod in templates.items() if wanted <= pod["metadata"]["labels"].items()]
            assert found == [one["metadata"]["name"]]


@pytest.mark.parametrize("name", ["mnist", "pictures"])
def test_the_servers_of_a_model_serve_it(name):
    """By the name that the pod's label says, in the addresses and in the folders."""
    for channel in ("stage", "production"):
        template = workloads(made(name))[f"{name}-{channel}"]
        (server,) = template["spec"]["containers"]
        (variable,) = server["env"]
        path = variable["valueFrom"]["fieldRef"]["fieldPath"]
        said = template["metadata"]["labels"][path.removeprefix("metadata.labels['").removesuffix("']")]
        args = [word.replace(f"$({variable['name']})", said) for word in server["args"]]
        options = parser().parse_args(args)
        assert (options.name, options.releases) == (name, Path("/models", name))
        candidates = Path("/models/candidates", name) if channel == "stage" else None
        assert options.candidates == candidates


def test_a_model_s_runs_and_the_worker_reach_its_channels():
    """The accounts are those of the namespace, and a model's rights are those to its own channels."""
    objects = made("pictures")
    given: dict[str, set[tuple[str, ...]]] = {}
    for binding in of_kind(objects, "RoleBinding"):
        role = keyed(objects)["Role", binding["roleRef"]["name"]]
        (subject,) = binding["subjects"]
        given.setdefault(subject["name"], set()).update(rights(role))
    channels = {f"deployments.apps/pictures-{channel}" for channel in ("stage", "production")}
    changed = {(verb, what) for verb, what in given["tf-user"] if "deployments" in what}
    assert changed == {(verb, what) for verb in ("get", "patch") for what in channels}
    assert {one for one in given["worker"] if "deployments" in one[1]} == {("get", one) for one in channels}


def test_another_model_has_the_components():
    """Both of its channels ask for the token too, and the policies let in whom they let into mnist's."""
    objects = made("pictures", COMPONENTS="token monitoring")
    for channel in ("stage", "production"):
        template = workloads(objects)[f"pictures-{channel}"]
        assert "--token-file" in template["spec"]["containers"][0]["args"]
        policies = {
            one["metadata"]["name"]
            for one in of_kind(objects, "NetworkPolicy")
            if one["spec"]["podSelector"].get("matchLabels", {}) == {"slipway/channel": channel}
        }
        assert policies == {channel}
    (monitor,) = of_kind(objects, "ServiceMonitor")
    wanted = {one["key"] for one in monitor["spec"]["selector"]["matchExpressions"]}
    services = [one["metadata"]["labels"] for one in of_kind(objects, "Service")]
    assert [labels["slipway/model"] for labels in services if wanted <= labels.keys()] == ["pictures"] * 2
    assert set(monitor["spec"]["targetLabels"]) <= services[0].keys()
