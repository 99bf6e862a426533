"""A delivery on the cluster: from an empty namespace to production's answer, and what follows it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

import yaml

from tasks.channels.backend import Endpoint
from tasks.channels.client import Client
from tasks.release.inprocess import run_litert
from tasks.release.parity import compare
from tasks.release.reader import Release
from tests.kubernetes.asking import kubectl


def test_from_an_empty_namespace_to_an_answer_of_production(install):
    """The commands of the walk-through end with a version in production, judged through the stage."""
    assert install.items("pods", "-l", "app.kubernetes.io/name=model-server") == []
    run = install.deliver(serving={"max_images": 5_000}).done()
    assert install.served_version() == 1
    assert {"train-classifier", "train-concept", "export", "stage", "judge", "promote", "report"} <= run.ran
    receipt = json.loads(install.in_models("cat", "/models/receipts/mnist/1-1/receipt.json"))
    assert (receipt["outcome"], receipt["settings"]["classifier"]["steps"]) == ("promoted", 200)
    manifest = json.loads(install.in_models("cat", "/models/mnist/1/assets.extra/manifest.json"))
    assert "sha256:" in manifest["image"]
    # A parameter for each stage leaves the places as the pod's environment says, and reaches the channel.
    deployment = json.loads(install.kubectl("get", "deployment", "mnist-production", "-o", "json"))
    document = deployment["spec"]["template"]["metadata"]["annotations"]["slipway/document"]
    assert json.loads(document)["max_images"] == 5_000
    (pod,) = install.items("pods", "-l", f"prefect.io/flow-run-id={run.id}")
    told = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert (told["DATA_ROOT"], told["MODELS_ROOT"], told["BACKEND"]) == ("/data", "/models", "kubernetes")
    # The stage is gone again.
    assert install.items("pods", "-l", "slipway/channel=stage") == []


def test_a_second_delivery_trains_only_what_changed(delivered, seed):
    """With another seed of the classifier, the concept and the datasets are taken from the volumes."""
    before = delivered.served_version()
    run = delivered.deliver(classifier={"seed": seed}).done()
    assert "train-classifier" in run.ran
    assert run.tasks["train-concept"] == "Cached"
    assert {state for name, state in run.tasks.items() if name.startswith("fetch")} == {"Cached"}
    assert delivered.served_version() == before + 1


def test_a_failed_gate_leaves_production_as_it_is(delivered):
    """The run is Failed with gate, measured and required, also for `prefect flow-run inspect`."""
    version, pods = delivered.served_version(), delivered.production_pods()
    run = delivered.deliver(judging={"min_accuracy": 0.9999})
    state, message = run.end()
    assert state == "FAILED"
    assert "accuracy: measured 0." in message
    assert "required ≥ 0.9999" in message
    assert message in delivered.worker(
        "env", "COLUMNS=500", "prefect", "flow-run", "inspect", run.id
    ).replace("\n", " ")
    assert (delivered.served_version(), delivered.production_pods()) == (version, pods)
    assert run.read()["run_count"] == 1, "a failed gate is not tried again"


def test_applying_the_manifests_again_changes_nothing(delivered):
    """Not even production's pods, and a second time nothing at all."""
    pods = delivered.production_pods()
    budgets = [one["metadata"]["generation"] for one in delivered.items("poddisruptionbudgets")]
    said = [line for line in delivered.make("manifests").splitlines() if "/" in line]
    changed = [line for line in said if line.endswith((" created", " configured"))]
    # Of a budget kubectl sends the selector each time, and says "configured" also where it is the same.
    assert [line for line in changed if not line.startswith("poddisruptionbudget.policy/")] == []
    assert [one["metadata"]["generation"] for one in delivered.items("poddisruptionbudgets")] == budgets
    assert delivered.production_pods() == pods


def test_applying_other_manifests_leaves_the_version(delivered):
    """As those of `kubectl apply -k` without the Makefile: neither the document nor the pods are touched."""
    version, pods = delivered.served_version(), delivered.production_pods()
    document = "jsonpath={.spec.template.metadata.annotations.slipway/document}"
    before = delivered.kubectl("get", "deployment", "mnist-production", "-o", document)
    manifests = list(yaml.safe_load_all(kubectl("kustomize", "build/kubernetes")))
    for one in manifests:
        if one["kind"] == "Deployment" and one["metadata"]["name"].startswith("mnist-"):
            del one["spec"]["template"]["metadata"]["annotations"]["slipway/image"]
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    assert delivered.kubectl("get", "deployment", "mnist-production", "-o", document) == before != ""
    delivered.make("manifests")
    assert (delivered.served_version(), delivered.production_pods()) == (version, pods)


def test_the_worker_tells_what_the_channels_serve(delivered):
    """As on one machine, by `slipway status`, `history` and a dry run of `prune`; it may change nothing."""
    version = delivered.served_version()
    address = f"http://mnist-production.{delivered.namespace}.svc:8501"
    stage, production = delivered.worker("slipway", "status").splitlines()
    assert stage.split() == ["stage", "nothing"]
    assert production.split(maxsplit=1) == ["production", f"version {version} of mnist at {address}: well"]
    assert " promoted " in delivered.worker("slipway", "history")
    assert " would be freed" in delivered.worker("slipway", "prune", "--keep", "1", "--dry-run")


def test_what_was_put_back_by_hand_is_the_champion(delivered, seed):
    """After `kubectl rollout undo` the next delivery is compared with the version that is really served."""
    before = delivered.served_version()
    delivered.deliver(classifier={"seed": seed}).done()
    deployment = "deployment/mnist-production"
    for verb in ("resume", "undo", "status", "pause"):
        delivered.kubectl("rollout", verb, deployment)
    delivered.eventually(lambda: delivered.served_version() == before, f"version {before} is served")
    delivered.deliver(classifier={"seed": seed // 2}, judging={"champion": True}).end()  # passed or not
    lines = delivered.in_models("cat", "/models/mnist/history.jsonl").splitlines()
    judged = [event for event in map(json.loads, lines) if event["event"] == "judged"][-1]
    assert judged["champion"] == before


def test_rollback_puts_the_version_before_back(delivered, seed):
    """As a run of its own deployment."""
    before = delivered.served_version()
    delivered.deliver(classifier={"seed": seed}).done()
    after = delivered.served_version()
    assert after != before
    delivered.start("rollback", {"why": "a test"}).done()
    assert delivered.served_version() == before
    history = delivered.in_models("tail", "-n", "1", "/models/mnist/history.jsonl")
    event = json.loads(history)
    assert (event["event"], event["version"], event["why"]) == ("rolled back", before, "a test")
    assert event["who"].startswith("flow run ")
    assert event["who"].endswith(" of the deployment rollback/kubernetes")


def test_two_deliveries_at_once_go_one_after_the_other(delivered, seed):
    """The second waits for the slot of the deployment, and both end well."""
    first = delivered.deliver(classifier={"seed": seed})
    second = delivered.deliver(classifier={"seed": seed // 2})
    first.done()
    second.done()
    times = [(run.read()["start_time"], run.read()["end_time"]) for run in (first, second)]
    (_, ended), (started, _) = sorted(times)
    assert ended <= started


def test_the_api_of_prefect_asks_for_the_password(install):
    """Without it nothing is told, and nothing can be started."""
    way = install.forward("prefect-server", 4200)
    assert way.ask("POST", "/api/deployments/filter", json={}).status_code == 401
    assert way.ask("GET", "/api/health").status_code == 200


def test_what_is_registered(install):
    """Version, tags, description, checked parameters, one run at a time, and a schedule that is off."""
    image = json.loads(install.kubectl("get", "deployment", "prefect-worker", "-o", "json"))
    image = image["spec"]["template"]["spec"]["containers"][0]["image"]
    revision = install.worker("sh", "-c", "echo $SLIPWAY_REVISION").strip()
    for flow in ("deliver", "rollback", "train"):
        made = install.prefect("GET", f"/deployments/name/{flow}/kubernetes")
        assert (made["entrypoint"], made["version"]) == (f"flows.{flow}.{flow}", revision)
        assert (made["tags"], made["enforce_parameter_schema"]) == (["slipway"], True)
        assert made["description"]
        limit = made["global_concurrency_limit"]
        assert (limit and limit["limit"]) == (None if flow == "train" else 1)
        schedules = [(one["schedule"]["cron"], one["active"]) for one in made["schedules"]]
        assert schedules == ([("0 3 * * 1", False)] if flow == "deliver" else [])
    fields = install.prefect("GET", "/deployments/name/deliver/kubernetes")["parameter_openapi_schema"]
    assert {"data", "classifier", "concept", "judging", "serving", "until"} <= fields["properties"].keys()
    pool = install.prefect("GET", "/work_pools/slipway")
    assert pool["base_job_template"]["variables"]["properties"]["image"]["default"] == image


def test_the_image_of_the_model_server_is_small(delivered):
    """Neither TensorFlow nor Prefect is in it, nor a compiler; and nothing can be written but /tmp."""
    asked = "import importlib.util as u; print([m for m in ('tensorflow', 'prefect') if u.find_spec(m)])"
    assert delivered.in_models("python", "-c", asked).strip() == "[]"
    for tool in ("gcc", "make", "git"):
        assert "no" in delivered.in_models("sh", "-c", f"command -v {tool} || echo no")
    said = delivered.kubectl(
        "exec", "deployment/mnist-production", "--", "touch", "/opt/x", "/models/x", check=False
    )
    assert said.count("Read-only file system") == 2


def test_the_golden_batch_is_answered_as_on_this_machine(delivered, tmp_path):
    """What production answers in the cluster is what the same release computes here."""
    version = delivered.served_version()
    command = ["kubectl", "-n", delivered.namespace, "exec", "deployment/mnist-production", "--"]
    command += ["tar", "--create", "--directory", "/models/mnist", str(version)]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    release = Release(tmp_path / str(version))
    release.verify()
    imgs = release.golden["imgs"]
    with Client(Endpoint(delivered.forward("mnist-production", 8501).url, "mnist")) as client:
        answer = client.predict(imgs)
    assert answer.version == version
    for expected in (release.expected(), run_litert(release.tflite, imgs)):
        parity = compare(
            answer.outputs, expected, rtol=1e-4, scales=release.scales, threshold=release.threshold
        )
        assert parity.agree, parity
