"""The token in all backends: SERVING_TOKEN_FILE switches it on for both channels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from settings.errors import WrongInput
from settings.places import read_places
from tasks.channels.backend import Backend, Channel
from tasks.channels.client import Client
from tasks.channels.kubernetes import KubernetesBackend
from tasks.channels.rollout import probe
from tasks.release.document import Wanted
from tasks.release.reader import Release
from tasks.workplace import open_workplace
from tests.channels.conftest import free_port

CHANNELS: dict[Channel, int] = {"production": 1, "stage": 2}  # with the version that each serves here
BLANK = np.zeros((1, 28, 28), np.float32)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with a token."""
    path = tmp_path / "token"
    path.write_text("a-secret\n")
    return path


@pytest.fixture
def environ(models: Path, token: Path) -> dict[str, str]:
    """The places of a process that delivers with a token."""
    ports = {channel: free_port() for channel in CHANNELS}
    return {
        "MODELS_ROOT": str(models),
        "SERVING_TOKEN_FILE": str(token),
        **{f"{channel.upper()}_PORT": str(port) for channel, port in ports.items()},
        **{f"{channel.upper()}_URL": f"http://127.0.0.1:{port}" for channel, port in ports.items()},
    }


def backend_of(environ: dict[str, str]) -> Backend:
    """Give the backend that the places name."""
    return open_workplace(read_places(environ, Path("/")), "mnist").backend


def put(backend: Backend, channel: Channel) -> Any:
    """Put the channel's version; give the endpoint."""
    wanted = Wanted(CHANNELS[channel])
    return backend.put(channel, wanted, should_stop=lambda: False)


@pytest.fixture
def local(environ: dict[str, str]) -> Iterator[Callable[..., Backend]]:
    """Open the local backend, with other variables; the servers end with the test."""

    def opened(**changed: str) -> Backend:
        return backend_of({name: value for name, value in (environ | changed).items() if value})

    yield opened
    for channel in CHANNELS:
        opened().remove(channel)


def asked(url: str, token: str | None) -> int:
    """Give the status of the answer to somebody who knows that token."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{url}/v1/models/mnist", headers=headers, trust_env=False).status_code


def check_channel(backend: Backend, channel: Channel, models: Path) -> None:
    """Bring the channel to serve, and see who is let in, and where nobody has to be."""
    backend.check(channel)
    endpoint = put(backend, channel)
    backend.check(channel)
    assert [asked(endpoint.url, token) for token in (None, "another", "a-secret")] == [401, 401, 200]
    for path in ("health/live", "health/ready", "metrics"):
        assert httpx.get(f"{endpoint.url}/{path}", trust_env=False).status_code == 200
    serving = backend.current(channel)
    assert serving is not None
    assert (serving.version, serving.healthy) == (CHANNELS[channel], True)
    assert "a-secret" not in repr(serving)
    folder = models / ("mnist/1" if channel == "production" else "candidates/mnist/2")
    probe(serving.endpoint, Release(folder), CHANNELS[channel], rtol=1e-4)


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_servers_of_this_machine_ask_for_it(local, models, channel):
    """They are started with the file; the probe brings what is in it."""
    check_channel(local(), channel, models)


def test_switching_it_on_or_off_starts_the_server_anew(local):
    """A server without the token is none of these places, and the other way round."""
    endpoint = put(local(SERVING_TOKEN_FILE=""), "production")
    assert asked(endpoint.url, None) == 200
    serving = local().current("production")
    assert (serving.healthy, "other code or settings" in serving.detail) == (False, True)
    put(local(), "production")
    assert asked(endpoint.url, None) == 401
    assert not local(SERVING_TOKEN_FILE="").current("production").healthy
    put(local(SERVING_TOKEN_FILE=""), "production")
    assert asked(endpoint.url, None) == 200


def test_another_token_in_the_file_needs_no_new_server(local, token):
    """Servers and clients read the file anew."""
    endpoint = put(local(), "production")
    token.write_text("another")
    assert local().current("production").healthy
    with Client(endpoint) as client:
        assert client.predict(BLANK).version == 1
    assert asked(endpoint.url, "a-secret") == 401


@pytest.mark.parametrize("backend", ["local", "external"])
def test_a_file_without_a_token_is_told_before_anything_is_trained(environ, backend):
    """check names the file."""
    lost = environ | {"BACKEND": backend, "SERVING_TOKEN_FILE": "/nowhere/token"}
    for channel in CHANNELS:
        with pytest.raises(WrongInput, match=r"the token file /nowhere/token cannot be read"):
            backend_of(lost).check(channel)


@pytest.fixture
def keep(environ: dict[str, str], models: Path) -> Iterator[Callable[..., None]]:
    """Keep the servers of both channels, as docker compose does, with further options."""
    kept: list[subprocess.Popen[bytes]] = []

    def keep(*options: str) -> None:
        for channel in CHANNELS:
            command = [sys.executable, "-m", "tasks.serving", *options, "--name", "mnist"]
            command += ["--document", str(models / "channels" / "mnist" / f"{channel}.json")]
            command += ["--releases", str(models / "mnist"), "--port", environ[f"{channel.upper()}_PORT"]]
            command += ["--candidates", str(models / "candidates" / "mnist")] if channel == "stage" else []
            kept.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for channel in CHANNELS:
            while not answers(environ[f"{channel.upper()}_URL"]):
                assert all(server.poll() is None for server in kept)

    yield keep
    for server in kept:
        server.kill()
        server.wait()


def answers(url: str) -> bool:
    """Tell whether somebody answers there."""
    try:
        return httpx.get(f"{url}/health/live", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_servers_that_somebody_else_keeps_are_asked_with_it(environ, keep, token, models):
    """Both channels, with a server that was started with the same file."""
    keep("--token-file", str(token))
    for channel in CHANNELS:
        check_channel(backend_of(environ | {"BACKEND": "external"}), channel, models)


def test_a_server_that_asks_for_another_token_is_told_before_anything_is_trained(
    environ, keep, token, tmp_path
):
    """check says which variable has to name the file, and what it names now."""
    (tmp_path / "theirs").write_text("theirs")
    keep("--token-file", str(tmp_path / "theirs"))
    external = environ | {"BACKEND": "external"}
    with pytest.raises(WrongInput, match=rf"401: the token is wrong; SERVING_TOKEN_FILE, which is {token}, "):
        backend_of(external).check("stage")
    del external["SERVING_TOKEN_FILE"]
    with pytest.raises(
        WrongInput, match=r"401: a token is needed: .*; SERVING_TOKEN_FILE, which is not set, "
    ):
        backend_of(external).check("stage")


class OneDeployment:
    """Stands in for a cluster: both channels have this Deployment, and no pod runs."""

    namespace = "ns"

    def __init__(self, *arguments: str) -> None:
        pod = {"containers": [{"name": "server", "args": ["--name", "mnist", *arguments]}]}
        self.found = {
            "metadata": {"generation": 1},
            "spec": {"selector": {"matchLabels": {}}, "template": {"metadata": {}, "spec": pod}},
        }

    def deployment(self, name: str) -> Any:
        """Give the Deployment."""
        return self.found

    def pods(self, labels: dict[str, str]) -> list[Any]:
        """Give its pods."""
        return []


def in_cluster(deployment: OneDeployment, token_file: Path | None) -> KubernetesBackend:
    """Give the backend of a pod with that token."""
    return KubernetesBackend(deployment, "mnist", Path("r"), Path("c"), 1.0, token_file)


def test_a_cluster_s_endpoints_have_it(token):
    """Where the Deployments ask for it, all is well, and whoever asks an endpoint brings it."""
    backend = in_cluster(OneDeployment("--token-file", "/token/token"), token)
    for channel in CHANNELS:
        backend.check(channel)
        assert backend.endpoint(channel).token_file == token
    with Client(backend.endpoint("stage")) as client:
        assert client._http.headers["authorization"] == "Bearer a-secret"


def test_manifests_and_runs_that_differ_are_told_before_anything_is_trained(token):
    """Either has the token without the other: the message says what to apply."""
    with pytest.raises(WrongInput, match=r"ask for a token, and this one has none: .* component `token`"):
        in_cluster(OneDeployment("--token-file", "/token/token"), None).check("production")
    with pytest.raises(
        WrongInput, match=r"ask for no token, and this one has .*component `token`, or remove"
    ):
        in_cluster(OneDeployment(), token).check("production")
    in_cluster(OneDeployment(), None).check("production")
    with pytest.raises(WrongInput, match=r"the token file .*gone cannot be read"):
        in_cluster(OneDeployment("--token-file", "x"), token.with_name("gone")).check("production")
