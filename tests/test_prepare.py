"""What a delivery looks at before anything slow starts."""

from __future__ import annotations

import shutil

import pytest

from settings.errors import Surroundings, WrongInput
from settings.hyperparameters import ClassifierSettings, ConceptSettings, DataSettings, ServingSettings
from tasks.channels.external import ExternalBackend
from tasks.channels.kubernetes import KubernetesBackend
from tasks.channels.local import LocalBackend
from tasks.datasets.room import expected_bytes
from tasks.prepare import check_disk, check_runtime, count_weights
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
    weights = 1_000_000
    needed = fetched + made + 120_000_000 + 60 * weights
    store = Store(tmp_path / "data", tmp_path / "models")
    usage = shutil.disk_usage(tmp_path)

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed))
    check_disk(store, data, weights)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=needed - 1))
    with pytest.raises(
        Surroundings, match=f"{needed:,} bytes are needed, {needed - 1:,} are free; make room"
    ):
        check_disk(store, data, weights)


def test_a_full_disk_says_what_a_prune_would_free(tmp_path, monkeypatch):
    """The way to room is named with its bytes, where it leads to any; it is not asked for in vain."""
    store = Store(tmp_path / "data", tmp_path / "models")
    usage = shutil.disk_usage(tmp_path)
    check_disk(store, DataSettings(), 1, lambda: pytest.fail("there is room"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1))
    with pytest.raises(
        Surroundings, match=r"make room there \(slipway prune --keep 1 would free 1,234 bytes\)"
    ):
        check_disk(store, DataSettings(), 1, lambda: 1_234)
    with pytest.raises(Surroundings, match="make room there, or give"):
        check_disk(store, DataSettings(), 1, lambda: 0)


@pytest.mark.parametrize("backend", [KubernetesBackend, ExternalBackend])
def test_tensorflow_is_refused_where_the_servers_have_none(backend):
    """Before anything is trained; on this machine the servers have what the delivery has."""
    tensorflow = ServingSettings(runtime="tensorflow")
    with pytest.raises(WrongInput, match=r"serving\.runtime=tensorflow .* which have litert"):
        check_runtime(backend, tensorflow)
    check_runtime(backend, ServingSettings())
    check_runtime(LocalBackend, tensorflow)


def test_every_weight_of_both_networks_is_counted():
    """The layers are those that the trainings make, whatever their sizes."""
    from tasks.models.classifier import classifier_network
    from tasks.models.concept import concept_network

    classifier = ClassifierSettings(hidden_1=7, hidden_2=500)
    concept = ConceptSettings(hidden=30, bottleneck=11)
    made = (classifier_network(classifier, "float32"), concept_network(concept, "float32"))
    expected = sum((layer.inputs + 1) * layer.units for network in made for layer in network.layers)
    assert count_weights(classifier, concept) == expected
