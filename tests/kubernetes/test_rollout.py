"""Production while it changes: under load, and when a release cannot be served."""

from __future__ import annotations

import json
from pathlib import Path

LOAD = Path(__file__).with_name("load.py").read_text()

SPOIL = """
import hashlib, json, pathlib
release = pathlib.Path("/models/mnist/{version}/assets.extra")
(release / "model.tflite").write_bytes(b"no model")
manifest = json.loads((release / "manifest.json").read_text())
manifest["digests"]["assets.extra/model.tflite"] = hashlib.sha256(b"no model").hexdigest()
(release / "manifest.json").write_text(json.dumps(manifest))
"""


def test_no_request_fails_while_production_changes(delivered, seed):
    """Promotion and rollback under load: every answer is right and names its version."""
    before = delivered.served_version()
    service = f"mnist-production.{delivered.namespace}.svc"
    load = delivered.pod("serve", "python", "-", service, "8501", "300", "4", script=LOAD, name="load")
    delivered.deliver(classifier={"seed": seed}).done()
    delivered.start("rollback", {}).done()
    delivered.kubectl("exec", "load", "--", "touch", "/tmp/over")
    said, _ = load.communicate(timeout=60)
    counted = json.loads(said)
    print(f"under load: {counted}")
    assert counted["failures"] == []
    assert sorted(map(int, counted["answers"])) == [before, max(map(int, counted["answers"]))]
    assert len(counted["answers"]) == 2
    assert counted["rate"] > 200  # requests a second: a gap would be noticed
    assert delivered.served_version() == before


def test_a_release_that_cannot_be_served_does_not_come_into_production(delivered, seed):
    """The run fails with what the new server said, and the pods before have never ended."""
    delivered.deliver(classifier={"seed": seed}).done()
    delivered.start("rollback", {}).done()
    version, pods = delivered.served_version(), delivered.production_pods()
    broken = max(int(name) for name in delivered.in_models("ls", "/models/mnist").split() if name.isdecimal())
    spoiled = delivered.pod("flow", "python", "-", script=SPOIL.format(version=broken), volume="models")
    spoiled.communicate(timeout=60)
    assert spoiled.returncode == 0
    state, message = delivered.start("rollback", {"to": broken}).end()
    assert state == "FAILED"
    assert f"production: version {broken} cannot be served" in message
    assert (delivered.served_version(), delivered.production_pods()) == (version, pods)
    # The next delivery is not in the way of that.
    delivered.deliver(classifier={"seed": seed // 2}).done()
    assert delivered.served_version() > broken


def test_an_image_that_cannot_be_pulled_does_not_come_into_production(delivered, seed):
    """Changed manifests replace no pod; the rollout that brings the change fails, and goes back whole."""
    version, pods = delivered.served_version(), delivered.production_pods()
    delivered.kubectl("set", "image", "deployment/mnist-production", "server=slipway/serve:no-such-tag")
    assert delivered.production_pods() == pods
    run = delivered.deliver(classifier={"seed": seed}, variables={"rollout_seconds": "15"})
    state, message = run.end()
    assert state == "FAILED"
    assert "production did not serve version" in message
    assert "no-such-tag" in message
    assert (delivered.served_version(), delivered.production_pods()) == (version, pods)
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert "no-such-tag" not in delivered.kubectl("get", "deployment", "mnist-production", "-o", image)
    assert " well" in delivered.worker("slipway", "status")
