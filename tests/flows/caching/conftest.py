"""Deliveries in a second: the real flow, engine, store, registry and keys, with stand-ins for the work.

What a task decides to run is tested here, not what it computes, and some hundred deliveries would take hours
with real trainings, servers and downloads. So these stand in: the fetching of a dataset, the building of a
network and its training, the export, the release's answers (in this process and through an endpoint), and the
backend. They write small files that depend on all that they are given, so what follows them sees a change.
The judging is the real one, but for the latencies, which differ from one measurement to the next as real ones
do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from settings.model import Description, Model, Network, Training
from tasks.channels.backend import Channel, Endpoint, Serving, unconditional
from tasks.channels.client import Answer
from tasks.judging.latency import Latency
from tasks.release import contract
from tasks.release.document import Wanted
from tasks.release.promise import promised
from tasks.store.artifacts import RECORD, file_digests
from tasks.store.files import sha256_of

BASE: dict[str, dict[str, Any]] = {
    "data": {
        "outliers": ["notmnist-small", "glyphs"],
        "made": ["blank", "dimmed", "rotated"],
        "held_out": 100,
    },
    "judging": {
        "min_accuracy": 0.001,
        "min_auroc": 0.001,
        "trivial_detectors": False,
        "min_flagged_ratio": 0.0,
        "max_flagged_ratio": 1_000.0,
        "bootstrap_rounds": 10,
    },
}
"""The settings that each test changes one thing of: no gate fails with them."""

IMAGES = {"train": 400, "test": 60}
LOCAL_FILE = "train-images-idx3-ubyte.gz"


CLASSES = [10]  # of the release that was exported last


def answers(imgs: np.ndarray) -> dict[str, np.ndarray]:
    """Stand in for serving_default: outputs of its types and shapes, the same for the same images."""
    logits = np.ascontiguousarray(imgs.reshape(len(imgs), -1)[:, 300 : 300 + CLASSES[-1]])
    odds = np.exp(logits)
    score = imgs.reshape(len(imgs), -1).std(axis=1)  # (N,)
    return {
        "class_ids": logits.argmax(axis=1),
        "probabilities": odds / odds.sum(axis=1, keepdims=True),
        "logits": logits,
        "score": score,
        "in_distribution": score <= np.float32(THRESHOLD),
    }


THRESHOLD = 0.25


@dataclass
class Channels:
    """Stand in for a backend: it remembers what is wanted, and serves it at once."""

    rollout_seconds = 1.0
    runtimes: tuple[str, ...] = ("litert", "tensorflow")
    wanted: dict[Channel, Wanted] = field(default_factory=dict)
    dead: set[Channel] = field(default_factory=set)

    def put(self, channel: Channel, wanted: Wanted, **how: Any) -> Endpoint:
        """Serve it."""
        how.get("claim", unconditional)()
        self.wanted[channel] = wanted
        self.dead.discard(channel)
        return Endpoint(channel, "mnist")

    def current(self, channel: Channel) -> Serving | None:
        """Give what is served, healthy unless it is dead."""
        if channel not in self.wanted:
            return None
        wanted = self.wanted[channel]
        return Serving(wanted.version, channel not in self.dead, Endpoint(channel, "mnist"), "", wanted)

    def document(self, channel: Channel) -> Wanted | None:
        """Give what is wanted."""
        return self.wanted.get(channel)

    def remove(self, channel: Channel, **how: Any) -> None:
        """Serve nothing."""
        self.wanted.pop(channel, None)

    def kept(self, channel: Channel) -> Wanted | None:
        """Give nothing: nobody stops it."""
        return None

    def check(self, channel: Channel) -> None:
        """Find nothing wrong."""

    def client(self, endpoint: Endpoint) -> Client:
        """Give a client of one of the channels."""
        return Client(self, endpoint)


@dataclass
class Client:
    """Stand in for the client of an endpoint."""

    channels: Channels
    endpoint: Endpoint

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def predict(self, imgs: np.ndarray, signature: str = "serving_default") -> Answer:
        """Answer as the version that the channel serves."""
        return Answer(answers(imgs), self.channels.wanted[self.endpoint.url].version)


@dataclass
class Built:
    """Stand in for a network that is built: what it was given."""

    given: list[Any]
    precision: str = "float32"
    variables: dict[str, np.ndarray] = field(default_factory=dict)

    def tensors(self, images: np.ndarray, labels: np.ndarray) -> list[str]:
        """Give digests of the rows and the labels."""
        return [hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels)]

    def weights(self, values: str) -> dict[str, np.ndarray]:
        """Give what was learnt."""
        return {"learnt": np.array(values)}


@dataclass
class Learnt:
    """Stand in for what a training gives."""

    values: str

    def curve(self, display_steps: int) -> str:
        """Give no curve."""
        return ""


def build(network: Network, settings: Training, description: Description) -> Built:
    """Stand in for the building of a network."""
    return Built([network.name, settings.model_dump(), description.model_dump()])


@dataclass
class Work:
    """The stand-ins of the pure functions; `news` by step changes what a step makes of equal inputs."""

    news: dict[str, str] = field(default_factory=dict)

    def fetch(self, name: str, folder: Path, *, home: Path, base: Path | None, **how: Any) -> dict[str, Any]:
        """Write images that depend on the name, the base and the first line of a local file."""
        local = home / LOCAL_FILE
        first = local.read_bytes().splitlines()[0] if local.exists() else b""
        of = [name, first.hex(), str(file_digests(base)) if base else "", self.news.get(name, "")]
        random = np.random.default_rng(list("\n".join(of).encode()))
        splits = ("train", "test") if name in ("mnist", "fashion-mnist") else ("test",)
        for split in splits:
            count = IMAGES[split]
            np.save(folder / f"{split}-images.npy", random.integers(0, 256, (count, 28, 28), np.uint8))
            np.save(folder / f"{split}-labels.npy", random.integers(0, 10, count, np.uint8))
        return {
            "source": "a stand-in",
            "quarantined": [],
            "images": {split: IMAGES[split] for split in splits},
        }

    def train(self, name: str, network: Built, data: list[str], *, settings: Any, **how: Any) -> Learnt:
        """Learn what is given."""
        given = {"seen": data, "built": network.given, "settings": settings.model_dump()}
        return Learnt(json.dumps(given | {"news": self.news.get(name)}))

    def export(
        self,
        folder: Path,
        model: Model,
        description: Description,
        *,
        facts: Any,
        networks: dict[str, Path],
        settings: dict[str, Any],
        held_out: np.ndarray,
        **given: Any,
    ) -> None:
        """Write a release that can be read and probed, with all that is given in its manifest."""
        CLASSES.append(len(description.classes))
        (folder / "assets.extra").mkdir()
        weights = [sha256_of(made / "weights.npz") for made in networks.values()]
        given["held_out"] = hashlib.sha256(held_out.tobytes()).hexdigest()
        given["settings"] = {name: each.model_dump() for name, each in settings.items()}
        (folder / contract.TFLITE).write_text(json.dumps([weights, given, self.news.get("release")]))
        imgs = (held_out[:16] / np.float32(255)).astype(np.float32)
        np.savez(folder / contract.GOLDEN, imgs=imgs, **answers(imgs))
        manifest = {
            **facts,
            "threshold": THRESHOLD,
            "held_out": {"images": len(held_out), "flagged": 0},
            "signatures": contract.describe(promised(model, description)),
            "digests": file_digests(folder),
        }
        (folder / contract.MANIFEST).write_text(json.dumps(manifest))


@dataclass
class Quick:
    """A workplace in which everything of BASE is delivered, and ways to deliver again."""

    root: Path
    channels: Channels = field(default_factory=Channels)
    work: Work = field(default_factory=Work)

    @property
    def models(self) -> Path:
        """The models' root."""
        return self.root / "models"

    @property
    def data(self) -> Path:
        """The data's root."""
        return self.root / "data"

    def deliver(self, **changed: dict[str, Any]) -> set[str]:
        """Deliver with BASE and what is `changed` of it, by stage; give the tasks that did something."""
        from flows.deliver import deliver
        from settings.errors import NotPromoted

        stages = {name: BASE.get(name, {}) | changed.get(name, {}) for name in {*BASE, *changed}}
        try:
            done: Any = deliver(**cast("Any", stages))
        except NotPromoted as failed:
            done = failed.outcome
        hows = {entry.how for entry in done.timeline}
        assert hows <= {"computed", "cached", "unchanged", "unreachable"}
        return {entry.name for entry in done.timeline if entry.how == "computed"}

    def artifact(self, kind: str) -> Path:
        """Give the folder of the only artifact of a kind."""
        records = [*self.data.rglob(RECORD), *self.models.joinpath("store").rglob(RECORD)]
        (folder,) = [path.parent for path in records if json.loads(path.read_bytes())["kind"] == kind]
        return folder


@pytest.fixture(scope="session")
def base() -> dict[str, dict[str, Any]]:
    """BASE, for tests that read it."""
    return BASE


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Quick:
    """What the first test of the session delivers, and the others start from a copy of."""
    return Quick(tmp_path_factory.mktemp("quick") / "template")


@pytest.fixture
def quick(
    tmp_path: Path, template: Quick, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Quick]:
    """A workplace in which everything of BASE is delivered."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    made = Quick(tmp_path / "work")
    stand_in(made, monkeypatch)
    engine = {
        PREFECT_API_URL: prefect_api,
        PREFECT_LOCAL_STORAGE_PATH: made.models / "records",
        # Each flow run waits most of a second for the end of its heart's thread.
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(engine):
        if not template.root.exists():
            made.data.joinpath("mnist").mkdir(parents=True)
            made.data.joinpath("mnist", LOCAL_FILE).write_bytes(b"pixels\na time stamp\n")
            made.deliver()
            shutil.copytree(made.root, template.root)
            template.channels.wanted = dict(made.channels.wanted)
        else:
            shutil.copytree(template.root, made.root)
            made.channels.wanted = dict(template.channels.wanted)
        yield made


def stand_in(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins in the places of what they stand for."""
    from tasks.workplace import open_workplace

    CLASSES[:] = [10]
    monkeypatch.setenv("DATA_ROOT", str(quick.data))
    monkeypatch.setenv("MODELS_ROOT", str(quick.models))
    monkeypatch.setattr(
        "flows.deliver.open_workplace",
        lambda *where: replace(open_workplace(*where), backend=quick.channels),
    )
    monkeypatch.setattr("tasks.making.dataset.fetch", quick.work.fetch)
    monkeypatch.setattr("tasks.models.loading.load_tensorflow", lambda: None)
    for module, name, work in (
        ("models.building", "build", build),
        ("models.loop", "train", quick.work.train),
        ("release.export", "export", quick.work.export),
    ):
        # In place of the modules, which import TensorFlow.
        fake = ModuleType(f"tasks.{module}")
        setattr(fake, name, work)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr("tasks.models.hardware.configure_threads", lambda side_by_side: None)
    for module in ("tasks.making.scores", "tasks.channels.rollout"):
        monkeypatch.setattr(f"{module}.Client", quick.channels.client)
    monkeypatch.setattr("tasks.making.verdict.measure_latency", another_latency)
    monkeypatch.setattr("tasks.judging.evidence.load_saved_model", lambda of: answers)
    monkeypatch.setattr("tasks.judging.evidence.run_litert", lambda of, imgs: answers(imgs))


def another_latency(*of: Any, **how: Any) -> tuple[Latency, ...]:
    """Give a latency that no other measurement gives."""
    milliseconds = time.time_ns() / 1e6
    return (Latency(batch=1, requests=1, median_ms=milliseconds, p99_ms=milliseconds),)
