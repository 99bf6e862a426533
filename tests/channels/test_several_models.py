"""Several models below one models' root: ports of their own, and none stands in another's way."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.__main__ import main
from settings.places import read_places
from tasks.channels import inspection, ports, process
from tasks.channels.files import ChannelFiles
from tasks.channels.ports import Ports
from tasks.release.document import Wanted
from tasks.workplace import Workplace, open_workplace
from tests.channels.conftest import free_port

MODELS = ("letters", "mnist")


@pytest.fixture
def root(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models' root of the commands; letters has the versions of mnist, and no place names a port.

    The default pair and the further ones are free ones of this test.
    """
    shutil.copytree(models / "mnist", models / "letters")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS_ROOT", str(models))
    for variable in ("STAGE_PORT", "PRODUCTION_PORT", "SERVING__NAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(ports, "DEFAULT", {"stage": free_port(), "production": free_port()})
    monkeypatch.setattr(ports, "FURTHER", range(free_port(), 65_000, 2))
    return models


@pytest.fixture
def open_place(root: Path) -> Iterator[Callable[[str], Workplace]]:
    """Open the workplace of a model, whose servers end with the test."""
    places = []

    def opened(name: str) -> Workplace:
        places.append(open_workplace(read_places(os.environ, Path.cwd()), name))
        return places[-1]

    yield opened
    for place in places:
        for channel in ("stage", "production"):
            place.backend.remove(channel)


@pytest.fixture
def both(open_place: Callable[[str], Workplace]) -> dict[str, Workplace]:
    """Both models in production."""
    found = {name: open_place(name) for name in MODELS}
    for place in found.values():
        put(place)
    return found


def put(place: Workplace) -> None:
    place.backend.put("production", Wanted(1), should_stop=lambda: False)


def ports_of(place: Workplace) -> dict[str, int]:
    backend: Any = place.backend
    return dict(backend.ports)


def pid_of(place: Workplace) -> int:
    """Give the process of a model's production."""
    backend: Any = place.backend
    files = ChannelFiles(backend.folder, "production")
    found = inspection.inspect("127.0.0.1", backend.ports["production"], files)
    assert found.kind == "ours"
    return found.pid


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_each_model_has_ports_of_its_own(both, capsys):
    """The first gets the default pair, the second the next; status tells both, and either alone."""
    assert ports_of(both["letters"]) == ports.DEFAULT
    assert not set(ports_of(both["mnist"]).values()) & set(ports.DEFAULT.values())
    told = said(capsys, "status")
    for name, place in both.items():
        assert (
            f"production  version 1 of {name} at http://127.0.0.1:{ports_of(place)['production']}: well"
            in told
        )
        assert f"stage       nothing of {name}\n" in told
    assert "letters" not in said(capsys, "status", "--name", "mnist")


def test_none_stands_in_anothers_way(both, capsys):
    """A stop, a restart, an upgrade and a damaged release of one leave the other's server alone."""
    pid = pid_of(both["letters"])
    said(capsys, "stop", "--name", "mnist")
    assert "version 1 of letters" in said(capsys, "status")  # exit 0: mnist is not meant to be served
    said(capsys, "start", "--name", "mnist")
    said(capsys, "restart", "--name", "mnist")
    said(capsys, "prune", "--keep", "1", "--name", "mnist")
    manifest = both["mnist"].registry.releases / "1" / "assets.extra" / "manifest.json"
    manifest.write_text("{")
    assert "version 1 of letters at" in said(capsys, "status", code=3)
    assert pid_of(both["letters"]) == pid


def test_start_and_stop_are_for_all(both, capsys, root):
    """What is meant to be served of all comes back at the ports where it was; one that fails keeps none."""
    before = {name: ports_of(place) for name, place in both.items()}
    assert said(capsys, "stop").count("stopped") == 2
    (root / "letters" / "1").rename(root / "letters" / "lost")
    told = said(capsys, "start", code=3)
    assert "version 1 of mnist is served at" in told
    (root / "letters" / "lost").rename(root / "letters" / "1")
    assert "version 1 of letters is served at" in said(capsys, "start")
    assert {name: ports_of(place) for name, place in both.items()} == before


def test_a_model_that_is_stopped_keeps_its_ports(both, capsys, open_place, root):
    """A third model gets neither pair, though nobody listens on them."""
    said(capsys, "stop")
    shutil.copytree(root / "mnist", root / "third")
    third = open_place("third")
    put(third)
    taken = [set(ports_of(place).values()) for place in (*both.values(), third)]
    assert len(set.union(*taken)) == 6


def test_what_was_served_before_keeps_the_default_pair(open_place, root):
    """A document without a remembered pair is of a model that has the default one, served or stopped."""
    mnist = open_place("mnist")
    put(mnist)
    files = ChannelFiles(root / "channels" / "mnist", "production")
    (files.folder / ports.FILE).unlink()
    pid = pid_of(mnist)
    letters = open_place("letters")
    put(letters)
    assert not set(ports_of(letters).values()) & set(ports.DEFAULT.values())
    put(open_place("mnist"))
    assert pid_of(mnist) == pid
    mnist.backend.remove("production", keep=True)
    (files.folder / ports.FILE).unlink()
    assert ports_of(open_place("mnist")) == ports.DEFAULT


def test_ports_of_the_places_count(both, monkeypatch, capsys):
    """They are taken as they are and not remembered: without them, the pair of before counts again."""
    before = ports_of(both["mnist"])
    monkeypatch.setenv("PRODUCTION_PORT", str(given := free_port()))
    place = open_workplace(read_places(os.environ, Path.cwd()), "mnist")
    assert ports_of(place) == {"stage": before["stage"], "production": given}
    put(place)
    assert f"version 1 of mnist at http://127.0.0.1:{given}: well" in said(
        capsys, "status", "--name", "mnist"
    )
    told = said(capsys, "start", "--name", "letters", code=3)
    assert "unset PRODUCTION_PORT, by which each model gets a port of its own" in told
    monkeypatch.delenv("PRODUCTION_PORT")
    put(both["mnist"])
    assert ports_of(both["mnist"]) == before


def test_a_pair_that_is_taken_is_passed_over(root, open_place):
    """By whomever: one port of it is enough."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports.DEFAULT["stage"]))
        holder.listen()
        assert not set(ports_of(open_place("mnist")).values()) & set(ports.DEFAULT.values())


def test_two_that_are_served_at_once_get_different_pairs(root):
    """Chosen one after the other, however many start together; what is remembered is whole at any time."""
    names = [f"model-{index}" for index in range(8)]
    barrier = threading.Barrier(len(names))

    def reserve(name: str) -> None:
        mine = Ports(root, name, "127.0.0.1", {})
        dict(mine)  # what it would be, as a check before the training asks
        barrier.wait()
        mine.reserve()

    threads = [threading.Thread(target=reserve, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = [json.loads((root / "channels" / name / ports.FILE).read_bytes()) for name in names]
    assert len({pair[channel] for pair in pairs for channel in ("stage", "production")}) == 16


def test_a_look_remembers_nothing(root, capsys):
    """Neither status nor history makes a folder."""
    said(capsys, "status", code=3)
    said(capsys, "history", "--name", "letters")
    assert not (root / "channels").exists()


def test_the_unit_is_for_all(root, capsys):
    """Unless one is named."""
    unit = said(capsys, "start", "--print-unit")
    assert "--name" not in unit
    assert "Description=Slipway, the models of this machine" in unit


def test_status_goes_on_where_one_cannot_be_told(both, root, capsys):
    """A document of a newer version stops nobody from what is said of the other models."""
    newer = root / "channels" / "letters" / "production.json"
    newer.write_text('{"schema": 99}')
    told = said(capsys, "status", code=3)
    assert "letters: " in told
    assert "written by a newer Slipway" in told
    assert "version 1 of mnist at" in told
    newer.write_text('{"version": 1}')
    assert process.is_running(pid_of(both["letters"]))
