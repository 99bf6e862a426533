"""What /metrics tells Prometheus, after requests that are known."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tasks.serving.engine import Answer
from tasks.serving.metrics import BOUNDS, Metrics

PREDICT = "/v1/models/mnist:predict"
DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


def only(metrics: dict[str, float], prefix: str) -> dict[str, float]:
    """Those whose name begins so, named by the rest."""
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def test_requests_and_images_are_counted(start, golden):
    """A wrong request, a right one of 3 images, an outlier, and 2 images that nothing is said of."""
    server = start()
    flags = golden[1]["in_distribution"]
    inliers, outliers = golden[1]["imgs"][flags], golden[1]["imgs"][~flags]
    for imgs in ([3], inliers[:3], outliers[:1]):
        server.predict(imgs)
    server.predict(inliers[:2], signature_name="infer")
    metrics = server.metrics()
    assert only(metrics, "slipway_requests_total ") == {"200": 3, "400": 1}
    assert metrics["slipway_images_total"] == 6
    assert metrics["slipway_inliers_total"] == 3
    assert metrics["slipway_outliers_total"] == 1
    assert metrics["slipway_request_seconds_count"] == 3
    assert 0 < metrics["slipway_request_seconds_sum"] < 1
    assert metrics["slipway_model_false_positive_rate"] == 0.05


def test_a_large_request_is_counted_as_a_small_one(start):
    """Also what is answered in a thread beside the event loop."""
    server = start()
    answer = server.predict(np.zeros((500, 28, 28))).json()["predictions"]
    inliers = sum(row["in_distribution"] for row in answer)
    metrics = server.metrics()
    assert metrics["slipway_images_total"] == 500
    assert metrics["slipway_inliers_total"] == inliers
    assert metrics["slipway_outliers_total"] == 500 - inliers


def test_every_refusal_is_counted_but_no_probe(start, tmp_path):
    """Token, size, address and method count by their status; health and /metrics need no token."""
    (tmp_path / "token").write_text("secret")
    server = start("--token-file", str(tmp_path / "token"), max_request_mib=1)
    assert server.predict([]).status_code == 401
    server.http.headers["authorization"] = "Bearer secret"
    server.http.get(PREDICT)
    server.http.get("/nothing")
    server.http.post("/v1/models/mnist/versions/7:predict")
    server.http.post(PREDICT, content=b" " * 1_100_000)
    server.http.get("/v1/models/mnist")
    server.http.get("/health/ready")
    del server.http.headers["authorization"]
    for _ in range(2):
        codes = only(server.metrics(), "slipway_requests_total ")
        assert codes == {"200": 1, "401": 1, "404": 2, "405": 1, "413": 1}


def test_the_model_is_told_as_it_is(start):
    """Nothing at first, then version 1, version 1 with a document that cannot be obeyed, and version 2."""
    server = start(version=None)
    while not server.health().get("error"):
        assert server.process.poll() is None
    assert server.predict([]).status_code == 503
    before = server.metrics()
    assert before["slipway_requests_total 503"] == 1
    assert only(before, "slipway_model") == {"_ready": 0}
    assert before["slipway_document_error"] == 1

    asked = time.time()
    server.want(version=1)
    server.serves(1)
    first = only(server.metrics(), "slipway_")
    assert (first["model_ready"], first["document_error"]) == (1, 0)
    assert only(first, "model_info ") == {"mnist 1 litert": 1}
    assert asked < first["model_loaded_timestamp_seconds"] < time.time()

    server.want(version=9)
    while not server.health()["error"]:
        assert server.process.poll() is None
    wrong = only(server.metrics(), "slipway_")
    assert (wrong["model_ready"], wrong["document_error"], wrong["fallback"]) == (1, 1, 0)
    assert only(wrong, "model_info ") == {"mnist 1 litert": 1}
    assert wrong["model_loaded_timestamp_seconds"] == first["model_loaded_timestamp_seconds"]

    server.want(version=2)
    server.serves(2)
    second = only(server.metrics(), "slipway_")
    assert second["document_error"] == 0
    assert only(second, "model_info ") == {"mnist 2 litert": 1}
    assert second["model_loaded_timestamp_seconds"] > first["model_loaded_timestamp_seconds"]


def test_the_process_is_told_as_the_kernel_knows_it(start):
    """Memory in bytes, the start in seconds since 1970, processor time."""
    asked = time.time()
    server = start()
    metrics = server.metrics()
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    assert metrics["process_resident_memory_bytes"] == pytest.approx(
        pages * os.sysconf("SC_PAGE_SIZE"), rel=0.1
    )
    # The kernel gives the machine's start in whole seconds.
    assert asked - 1.5 < metrics["process_start_time_seconds"] < time.time() + 1.5
    assert 0 < metrics["process_cpu_seconds_total"] < 10


def test_a_time_counts_in_every_bucket_that_holds_it(start):
    """A bucket holds what takes as long as its bound or less, and the last one everything."""
    metrics = Metrics()
    for seconds in (0.0, BOUNDS[0], 0.0011, 11.0):
        metrics.count(Answer(b"", 1, 1, 0), seconds)
    assert [
        (bound, count) for bound, count in zip((*BOUNDS, "more"), metrics.buckets, strict=True) if count
    ] == [
        (0.00025, 2),
        (0.0025, 1),
        ("more", 1),
    ]
    server = start()
    server.predict([])
    buckets = only(server.metrics(), "slipway_request_seconds_bucket ")
    assert [float(bound) for bound in buckets] == [*BOUNDS, float("inf")]
    assert sorted(buckets.values()) == list(buckets.values())
    assert buckets["+Inf"] == 1


def test_a_name_may_hold_any_character(start):
    """Quotes, backslashes and ends of lines in a label do not break the text."""
    name = 'a "b" \\n\n'
    server = start("--name", name)
    assert server.metrics()[f"slipway_model_info {name} 1 litert"] == 1


def test_the_text_is_named_as_the_format_asks(shared):
    """Prometheus reads the content type, and newer versions of it insist."""
    response = shared.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["x-model-version"] == "1"


def test_the_page_names_every_metric_with_its_type(shared):
    """The table of docs/metrics.md is what the server gives, in its order."""
    types = re.findall(r"^# TYPE (\w+) (\w+)$", shared.http.get("/metrics").text, flags=re.MULTILINE)
    table = re.findall(r"^\| `(\w+)(?:\{[\w,]+\})?` \| (\w+) \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert table == types
