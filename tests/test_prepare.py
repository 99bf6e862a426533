"""What a delivery looks at before anything slow starts."""

from __future__ import annotations

import shutil
from itertools import pairwise

import pytest

from settings.errors import Surroundings, WrongInput
from settings.hyperparameters import ClassifierSettings, ConceptSettings, DataSettings, ServingSettings
from settings.model import Description
from tasks.channels.external import ExternalBackend
from tasks.channels.kubernetes import KubernetesBackend
from tasks.channels.local import LocalBackend
from tasks.datasets.room import expected_bytes
from tasks.making.network import make_network
from tasks.making.room import check_room
from tasks.models.builtin import CLASSIFIER, CONCEPT
from tasks.prepare import check_disk, check_runtime
from tasks.store.store import Store

IMAGE_AND_LABEL = 28 * 28 + 1


def test_room_is_asked_for_every_set_also_those_made_of_others(tmp_path, monkeypatch):
    """A set made of the training set or of the first outlier set counts with the images of that one."""
    data = DataSettings(
        train="fashion-mnist", outliers=("notmnist-small", "glyphs"), made=("blank", "dimmed", "rotated")
    )
    made = (1_000 + 18_724 + 10_000) * IMAGE_AND_LABEL
    fetched = sum(
        expected_bytes(name, data, tmp_path) for name in ("fashion-mnist", "notmnist-small", "glyphs")
    )
    needed = fetched + made + 120_000_000
    store = Store(tmp_path / "data", tmp_path / "models")
    usage = shutil.disk_usage(tmp_path)

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed))
    check_disk(store, data)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed - 1))
    with pytest.raises(
        Surroundings, match=f"{needed:,} bytes are needed, {needed - 1:,} are free; make room"
    ):
        check_disk(store, data)


def test_a_full_disk_says_what_a_prune_would_free(tmp_path, monkeypatch):
    """The way to room is named with its bytes, where it leads to any; it is not asked for in vain."""
    store = Store(tmp_path / "data", tmp_path / "models")
    usage = shutil.disk_usage(tmp_path)
    check_disk(store, DataSettings(), lambda: pytest.fail("there is room"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1))
    with pytest.raises(
        Surroundings, match=r"make room there \(slipway prune --keep 1 would free 1,234 bytes\)"
    ):
        check_disk(store, DataSettings(), lambda: 1_234)
    with pytest.raises(Surroundings, match="make room there, or give"):
        check_disk(store, DataSettings(), lambda: 0)


@pytest.mark.parametrize("backend", [KubernetesBackend, ExternalBackend])
def test_tensorflow_is_refused_where_the_servers_have_none(backend):
    """Before anything is trained; on this machine the servers have what the delivery has."""
    tensorflow = ServingSettings(runtime="tensorflow")
    with pytest.raises(WrongInput, match=r"serving\.runtime=tensorflow .* which have litert"):
        check_runtime(backend, tensorflow)
    check_runtime(backend, ServingSettings())
    check_runtime(LocalBackend, tensorflow)


@pytest.mark.parametrize(
    ("network", "settings", "units"),
    [
        (CLASSIFIER, ClassifierSettings(hidden_1=7, hidden_2=500), (784, 7, 500, 10)),
        (CONCEPT, ConceptSettings(hidden=30, bottleneck=11), (784, 30, 11, 30, 784)),
    ],
)
def test_room_for_every_weight_is_asked_for_when_a_network_is_built(
    tmp_path, monkeypatch, network, settings, units
):
    """All of them count, whatever the sizes of the layers; what is missing is told before a step is taken."""
    from tasks.models.building import build

    built = build(network, settings, Description(shape=(28, 28), classes=tuple("0123456789")))
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise(units))
    needed = 60 * weights
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed))
    check_room(tmp_path, network.name, built.variables)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed - 1))
    with pytest.raises(
        Surroundings, match=f"the {weights:,} weights of {network.name}: {needed:,} bytes are needed"
    ):
        check_room(tmp_path, network.name, built.variables)


def test_a_disk_without_room_for_the_weights_ends_the_training_before_its_first_step(tmp_path, monkeypatch):
    """Nothing is written, and no row is read."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1_000))
    with pytest.raises(Surroundings, match="is too full for the 218,058 weights of classifier"):
        make_network(
            tmp_path,
            CLASSIFIER,
            ClassifierSettings(),
            tmp_path / "no dataset",
            Description(shape=(28, 28), classes=tuple("0123456789")),
            DataSettings(),
            checkpoints=tmp_path / "kept",
            should_stop=lambda: False,
        )
    assert not list(tmp_path.iterdir())
