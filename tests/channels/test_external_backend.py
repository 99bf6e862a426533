"""The backend whose servers somebody else keeps: here the test does, as docker compose would."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from settings.errors import Stopped, Surroundings
from settings.places import read_places
from tasks.channels import external, inspection
from tasks.channels.backend import Channel
from tasks.channels.client import Client
from tasks.channels.external import ExternalBackend
from tasks.channels.files import ChannelFiles
from tasks.release.document import Wanted
from tasks.release.reader import Release
from tasks.workplace import open_workplace
from tests.channels.conftest import free_port

BLANK = np.zeros((1, 28, 28), np.float32)


class Kept:
    """The model server of one channel, started as compose.yaml starts it."""

    def __init__(self, backend: ExternalBackend, channel: Channel, document: Path | None = None) -> None:
        self.url = backend.urls[channel]
        self.log = backend.folder.parents[1] / f"{channel}.log"
        self.command = [sys.executable, "-m", "tasks.serving", "--name", "mnist"]
        self.command += ["--document", str(document or backend.folder / f"{channel}.json")]
        self.command += ["--releases", str(backend.releases), "--port", self.url.rpartition(":")[2]]
        if channel == "stage":
            self.command += ["--candidates", str(backend.candidates)]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.is_live():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def is_live(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/live", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(10)


@pytest.fixture
def backend(models: Path) -> ExternalBackend:
    """A backend whose channels are on free ports, where nobody listens yet."""
    urls: dict[Channel, str] = {
        "stage": f"http://127.0.0.1:{free_port()}",
        "production": f"http://127.0.0.1:{free_port()}",
    }
    return ExternalBackend(models, "mnist", models / "mnist", models / "candidates" / "mnist", urls)


@pytest.fixture
def keep(backend: ExternalBackend) -> Iterator[Callable[..., Kept]]:
    """Start the server of a channel: `keep("stage")`; they end with the test."""
    kept: list[Kept] = []

    def keep(channel: Channel, document: Path | None = None) -> Kept:
        kept.append(Kept(backend, channel, document))
        kept[-1].start()
        return kept[-1]

    yield keep
    for each in kept:
        if each.process.poll() is None:
            each.end()


@pytest.fixture
def put(backend: ExternalBackend) -> Callable[..., int]:
    """Put a version, and give the version that the endpoint answers with then."""

    def put(version: int, channel: Channel = "stage", **document: int) -> int:
        wanted = Wanted(version, **document)
        endpoint = backend.put(channel, wanted, should_stop=lambda: False)
        assert endpoint.url == backend.urls[channel]
        return answering(endpoint)

    return put


def answering(endpoint) -> int:
    with Client(endpoint) as client:
        return client.predict(BLANK).version


def test_the_places_name_it(tmp_path):
    """BACKEND=external opens it, with the URLs of the environment and the channels' folder of the model."""
    environ = {"BACKEND": "external", "STAGE_URL": "http://stage:1", "PRODUCTION_URL": "http://production:2"}
    backend = open_workplace(read_places(environ, tmp_path), "letters").backend
    assert isinstance(backend, ExternalBackend)
    assert backend.urls == {"stage": "http://stage:1", "production": "http://production:2"}
    assert backend.folder == tmp_path / "models" / "channels" / "letters"
    assert backend.endpoint("stage").name == "letters"


def test_a_channel_that_was_never_put_serves_nothing(backend, keep):
    """Before the first put a server is up and well, and nothing is made by looking."""
    keep("production")
    backend.check("production")
    assert backend.current("production") is None
    backend.remove("production")
    assert not backend.folder.exists()


def test_put_writes_the_document_and_waits(backend, keep, put):
    """When put returns, the server that was there before answers with the version."""
    keep("stage")
    assert put(2) == 2
    serving = backend.current("stage")
    assert (serving.version, serving.healthy, serving.detail) == (2, True, "")
    assert serving.wanted == Wanted(2)
    assert len(serving.digest) == 64
    document = json.loads((backend.folder / "stage.json").read_bytes())
    assert document == {
        "schema": 1,
        "version": 2,
        "previous": 0,
        "runtime": "litert",
        "max_request_mib": 32,
        "max_images": 10_000,
    }
    backend.check("stage")


def test_a_second_put_of_the_same_changes_nothing(backend, keep, put):
    """Where all is as wanted, the document is not replaced; other limits are another document."""
    keep("stage")
    put(2)
    stamp = ChannelFiles(backend.folder, "stage").revision()
    put(2)
    assert ChannelFiles(backend.folder, "stage").revision() == stamp
    put(2, max_images=5)
    assert backend.current("stage").wanted == Wanted(2, max_images=5)


def test_a_broken_release_leaves_the_old_version(backend, keep, put):
    """The error is the server's own reason; document and version are as before."""
    keep("stage")
    put(2, max_images=7)
    with pytest.raises(Surroundings, match=r"stage: version 3 .*model\.tflite is not as it was exported"):
        put(3)
    serving = backend.current("stage")
    assert (serving.version, serving.healthy, serving.wanted) == (2, True, Wanted(2, max_images=7))
    assert answering(serving.endpoint) == 2


def test_a_first_version_that_cannot_be_served_leaves_nothing(backend, keep, put):
    """Where nothing was served before, a failed put leaves a server that serves nothing."""
    server = keep("stage")
    with pytest.raises(Surroundings, match="is not as it was exported"):
        put(3)
    assert backend.current("stage") is None
    assert server.is_live()
    backend.check("stage")


def test_production_serves_no_candidate(keep, put):
    """The server of production does not look among the candidates."""
    keep("production")
    with pytest.raises(Surroundings, match=r"production: version 2 cannot be served: .*version 2 is not in"):
        put(2, "production")


def test_remove_leaves_the_server(backend, keep, put):
    """A removed channel answers that it serves nothing, and can be put again."""
    server = keep("stage")
    put(2)
    backend.remove("stage")
    assert backend.current("stage") is None
    refused = httpx.post(f"{server.url}/v1/models/mnist:predict", json={"instances": BLANK.tolist()})
    assert (refused.status_code, refused.headers["x-model-version"]) == (503, "0")
    assert put(2) == 2


def test_a_server_that_is_away(backend, put):
    """check names what to start and what to set; put waits, and leaves nothing wanted."""
    message = rf"no model server answers at {backend.urls['stage']}, .*docker compose .* up .*STAGE_URL"
    with pytest.raises(Surroundings, match=message):
        backend.check("stage")
    assert backend.current("stage") is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external, "SETTLE_SECONDS", 0.1)
        patch.setattr(backend, "rollout_seconds", 0.2)
        with pytest.raises(Surroundings, match=rf"stage did not serve version 2 in time: {message}"):
            put(2)
    assert backend.current("stage") is None


def test_a_server_that_comes_back_is_waited_for(backend, keep, put):
    """A put goes on when the server is started again, as a container is by its restart policy."""
    server = keep("stage")
    put(2)
    server.end()
    serving = backend.current("stage")
    assert (serving.healthy, serving.detail, serving.wanted) == (
        False,
        "its server does not answer",
        Wanted(2),
    )
    again = threading.Timer(0.3, server.start)
    again.start()
    assert put(2, max_images=9) == 2
    again.join()


def test_a_channel_is_removed_while_its_server_is_away(backend, keep, put):
    """A server that starts after the removal finds a document that wants nothing."""
    server = keep("stage")
    put(2)
    server.end()
    backend.remove("stage")
    server.start()
    backend.check("stage")
    assert backend.current("stage") is None


def test_a_server_of_another_document_is_left_alone(backend, keep, put, tmp_path):
    """check and put name the channel's document and the variable; nothing is written."""
    other = tmp_path / "other.json"
    keep("stage", other)
    message = (
        rf"is that of a model server of another document, not of {backend.folder}/stage\.json: set STAGE_URL"
    )
    with pytest.raises(Surroundings, match=message):
        backend.check("stage")
    with pytest.raises(Surroundings, match=message):
        put(2)
    backend.remove("stage")
    assert backend.current("stage") is None
    assert not backend.folder.exists()


def test_a_server_with_another_folder_at_that_path_is_told(backend, keep, put, monkeypatch):
    """A server that sees another file under the document's path is no server of this channel."""
    keep("stage")
    put(2)
    monkeypatch.setattr(ChannelFiles, "revision", lambda files: "of another volume")
    monkeypatch.setattr(external, "SETTLE_SECONDS", 0.1)
    message = r"has not obeyed .*stage\.json as it is here: .*whether it has the same folder"
    with pytest.raises(Surroundings, match=f"stage: the server at {backend.urls['stage']} {message}"):
        backend.check("stage")
    monkeypatch.setattr(backend, "rollout_seconds", 0.2)
    with pytest.raises(Surroundings, match=f"stage did not serve version 1 in time: .* {message}"):
        put(1)
    while (serving := backend.current("stage")).version != 2:  # what was put back
        time.sleep(0.01)
    assert (serving.healthy, "whether it has the same folder" in serving.detail) == (False, True)


def test_a_release_made_anew_under_its_number_is_loaded(backend, keep, put, models):
    """Where a version's folder holds another release than the served one, the next put serves that one."""
    keep("production")
    put(1, "production")
    shutil.rmtree(models / "mnist" / "1")
    assert backend.current("production").detail == "version 1, which it serves, is not on the disk"
    shutil.copytree(models / "candidates" / "mnist" / "2", models / "mnist" / "1")
    assert not backend.current("production").healthy
    put(1, "production")
    golden = Release(models / "mnist" / "1").golden
    with Client(backend.endpoint("production")) as client:
        answered = client.predict(golden["imgs"]).outputs["logits"]
    np.testing.assert_allclose(answered, golden["logits"], 1e-4, 1e-5)


@pytest.mark.parametrize("content", ['{"versi', None], ids=["damaged", "deleted"])
def test_a_lost_document_is_mended(backend, keep, put, content):
    """The server goes on with what it serves, the channel is unhealthy, and put writes the document anew."""
    keep("stage")
    put(2)
    document = backend.folder / "stage.json"
    document.write_text(content) if content else document.unlink()
    while backend.current("stage").healthy:
        pass
    assert backend.current("stage").version == 2
    assert put(2) == 2
    assert backend.current("stage").healthy


def test_a_lost_document_and_a_broken_release_leave_what_is_served(backend, keep, put):
    """The undo has no document to go back to: it wants what the server serves."""
    keep("stage")
    put(2)
    (backend.folder / "stage.json").write_text('{"versi')
    with pytest.raises(Surroundings, match="version 3 cannot be served"):
        put(3)
    assert backend.current("stage").wanted == Wanted(2)
    assert backend.current("stage").healthy


def test_a_wish_to_stop_ends_the_wait_and_undoes(backend, keep, put, monkeypatch):
    """put stops within moments, and what was wanted before is wanted again."""
    server = keep("stage")
    put(2)
    monkeypatch.setattr(inspection, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(external, "SETTLE_SECONDS", 0.1)
    server.process.send_signal(signal.SIGSTOP)  # so that it cannot have obeyed before the wish is looked at
    with pytest.raises(Stopped, match="stopped before stage served version 2"):
        backend.put("stage", Wanted(2, max_images=7), should_stop=lambda: True)
    server.process.send_signal(signal.SIGCONT)
    assert backend.current("stage").wanted == Wanted(2)
    monkeypatch.undo()
    backend.check("stage")
    assert backend.current("stage").healthy


def test_a_server_that_hangs_does_not_answer(backend, keep, put, monkeypatch):
    """A hanging server is unhealthy, and nothing here would end it."""
    server = keep("stage")
    put(2)
    monkeypatch.setattr(inspection, "ASK_SECONDS", 0.3)
    server.process.send_signal(signal.SIGSTOP)
    assert backend.current("stage").detail == "its server does not answer"
    with pytest.raises(Surroundings, match="no model server answers"):
        backend.check("stage")
    server.process.send_signal(signal.SIGCONT)
    backend.check("stage")
    assert backend.current("stage").healthy
