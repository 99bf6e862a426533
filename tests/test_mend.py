"""A release that was damaged on the disk, and what the store has of it."""

from __future__ import annotations

from tasks.mend import mend_production, restore_release
from tasks.store.artifacts import RECORD
from tests.test_prune import Models, models  # noqa: F401 - the fixture


def damage(models: Models, version: int) -> bytes:  # noqa: F811
    """Empty a file of a version; give what it held."""
    path = models.place().registry.folder(version) / "content"
    whole = path.read_bytes()
    path.write_bytes(b"")
    return whole


def test_a_damaged_release_is_restored_from_the_store(models):  # noqa: F811
    """Its files are again what was exported, under the same number, without the store's record."""
    models.deliver(0)
    models.deliver(1)
    place = models.place()
    whole = damage(models, 2)
    assert not restore_release(place, 1), "it is whole"
    assert restore_release(place, 2)
    folder = place.registry.folder(2)
    assert (folder / "content").read_bytes() == whole
    assert not (folder / RECORD).exists()
    assert place.registry.is_promoted(2)
    assert not restore_release(place, 2)


def test_what_the_store_does_not_have_whole_is_not_restored(models, caplog):  # noqa: F811
    """A release whose artifact is damaged too stays as it is, and the ways on are told."""
    models.deliver(0)
    damage(models, 1)
    place = models.place()
    for path in (models.root / "models" / "store" / "release").glob("*/content"):
        path.write_bytes(b"")
    assert not restore_release(place, 1)
    assert (
        "the release of version 1 is damaged, and the store does not have it whole: a delivery" in caplog.text
    )


def test_a_version_that_is_not_there_is_left_alone(models):  # noqa: F811
    """Whoever removed it meant to; and where nothing is meant to be served, nothing is mended."""
    models.deliver(0)
    assert not restore_release(models.place(), 9)
    for path in (models.root / "models" / "channels").rglob("production.json"):
        path.unlink()
    damage(models, 1)
    mend_production(models.place())
    assert (models.place().registry.folder(1) / "content").read_bytes() == b""
