"""The component `token` on the cluster, in a namespace of its own."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.asking import kubectl
from tests.kubernetes.conftest import NAMESPACE, bring_up
from tests.kubernetes.installation import Installation

PREDICT = "/v1/models/mnist:predict"
QUESTION = {"instances": [[[0.0] * 28] * 28]}


@pytest.fixture(scope="module")
def with_token(cluster: None, published: Path) -> Iterator[Installation]:
    """Slipway with the component, in an empty namespace."""
    made = bring_up(f"{NAMESPACE}-token", published, COMPONENTS="token")
    yield made
    made.close()
    if "REUSE_NAMESPACE" not in os.environ:
        kubectl("delete", "namespace", f"{NAMESPACE}-token", "--timeout=120s")


def test_a_delivery_brings_the_token_that_production_asks_for(with_token):
    """From an empty namespace to an answer for those who have it; applying all again changes no token."""
    with_token.deliver().done()
    encoded = with_token.kubectl("get", "secret", "serving-token", "-o", "jsonpath={.data.token}")
    token = base64.b64decode(encoded).decode()
    statuses = [
        with_token.production(PREDICT, json=QUESTION, headers=headers).status_code
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {token}"})
    ]
    assert statuses == [401, 401, 200]
    for path in ("/health/ready", "/metrics"):
        assert with_token.production(path).status_code == 200
    assert " well" in with_token.worker("slipway", "status")
    with_token.make("manifests", COMPONENTS="token")
    assert encoded == with_token.kubectl("get", "secret", "serving-token", "-o", "jsonpath={.data.token}")
    # A run that changes nothing probes production, with the token.
    pods = with_token.production_pods()
    with_token.deliver().done()
    assert with_token.production_pods() == pods


def test_manifests_without_it_end_a_run_before_it_trains(with_token):
    """The ConfigMap stays when the component goes: the run says what to apply, or to remove."""
    with_token.make("manifests")
    state, message = with_token.deliver(classifier={"seed": 4}).end()
    assert state == "FAILED"
    assert "ask for no token, and this one has /token/token" in message
    with_token.make("manifests", COMPONENTS="token")
    with_token.deliver().done()
