"""An operator acts in the middle of a promotion: it happens at once and stands, and the promotion ends.

A promotion of version 4 is held at a point of its way by a hook, where an operator goes back from version 2
to version 1, or stops production, in a thread of its own; both through real servers.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Overruled, SlipwayError, Surroundings
from settings.hyperparameters import JudgingSettings, ServingSettings
from tasks.channels import rollout
from tasks.channels.files import ChannelFiles
from tasks.channels.inspection import servers_of
from tasks.channels.local import LocalBackend
from tasks.channels.wanted import wanted
from tasks.production import Seen, bring, look_at
from tasks.release import registry as registry_module
from tasks.release.registry import Registry
from tasks.rollback import go_back
from tasks.store.lock import model_lock
from tasks.workplace import Workplace

JUDGING, SERVING = JudgingSettings(), ServingSettings()
NEW = 4


@pytest.fixture
def place(models: Path, releases: Path, backend: LocalBackend) -> Workplace:
    """Versions 1 and 2 were promoted, and production serves 2; version 4 is a candidate."""
    shutil.copytree(models / "candidates" / "mnist" / "2", models / "mnist" / "2")
    shutil.rmtree(models / "candidates" / "mnist")
    shutil.copytree(releases / "1", models / "candidates" / "mnist" / str(NEW))
    registry = Registry("mnist", models / "mnist", models / "candidates" / "mnist", models / "receipts")
    backend.lock = registry.lock
    made = Workplace(None, registry, backend, "local", ())
    for version in (1, 2):
        registry.history.append("exported", version, f"digest {version}", "a new release")
        registry.history.append("promoted", version, f"digest {version}", "passed")
    registry.history.append("exported", NEW, "digest 4", "a new release")
    wish = wanted(2, SERVING)
    backend.put("production", wish, should_stop=lambda: False)
    return made


def promote(place: Workplace, seen: Seen) -> None:
    bring(place, NEW, JUDGING, SERVING, event="promoted", why="passed", seen=seen)


def roll_back(place: Workplace) -> None:
    assert go_back(place, 1, "an emergency", JUDGING, SERVING).version == 1


def stop(place: Workplace) -> None:
    place.backend.remove("production")


class Operator:
    """Acts once, in a thread of its own."""

    def __init__(self, act: Callable[[], object], *, stops: bool = False) -> None:
        self.act = act
        self.stops = stops  # and does not go back
        self.at_the_lock = threading.Event()
        self.errors: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.act()
        except BaseException as error:
            self.errors.append(error)

    def start(self) -> None:
        """Begin to act."""
        self.thread.start()

    def finish(self) -> None:
        """Wait for the end of what was begun."""
        self.thread.join(60)
        assert not self.thread.is_alive(), "the operator waits"
        assert self.errors == []

    def interfere(self) -> None:
        """Act from begin to end, if that has not happened yet."""
        if self.thread.ident is None:
            self.start()
            self.finish()


@pytest.fixture(params=[roll_back, stop])
def operator(request: pytest.FixtureRequest, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Someone who goes back to version 1, or stops production; tells when the lock is asked for."""
    made = Operator(lambda: request.param(place), stops=request.param is stop)

    def lock(home: Path, **how: Any) -> Any:
        if threading.current_thread() is made.thread:
            made.at_the_lock.set()
        return model_lock(home, **how)

    monkeypatch.setattr(registry_module, "model_lock", lock)
    return made


def hook(monkeypatch: pytest.MonkeyPatch, holder: Any, name: str, before: Callable[..., None]) -> None:
    """Call `before` with the same arguments ahead of a function, where another thread than its own calls."""
    real = getattr(holder, name)

    def hooked(*given: Any, **how: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            before(*given, **how)
        return real(*given, **how)

    monkeypatch.setattr(holder, name, hooked)


def check(place: Workplace, operator: Operator) -> None:
    """What the operator did stands, nothing else is left, and version 4 is a candidate as before."""
    operator.finish()
    registry, backend = place.registry, place.backend
    assert not registry.is_promoted(NEW)
    assert registry.folder(NEW) == registry.candidates / str(NEW)
    assert registry.history.last("promoted", NEW) is None
    assert isinstance(backend, LocalBackend)
    servers = servers_of(backend.folder / "production.json")
    if operator.stops:
        assert (backend.current("production"), backend.document("production"), servers) == (None, None, [])
        return
    serving = backend.current("production")
    assert serving is not None
    assert (serving.version, serving.detail, len(servers)) == (1, "", 1)
    last = registry.history.events()[-1]
    assert (last.event, last.version, last.why) == ("rolled back", 1, "an emergency")
    assert "digest 2" in registry.history.taken_back()


def test_before_the_promotion(place, operator):
    """During the training or the judging: the promotion says who came first, and does not begin."""
    seen = look_at(place)
    operator.interfere()
    told = "it was stopped" if operator.stops else r"brought it back to version 1 at \S+ \(an emergency\)"
    with pytest.raises(Overruled, match=told):
        promote(place, seen)
    check(place, operator)


def test_between_the_renaming_and_the_rollout(place, operator, monkeypatch):
    """There the operator waits, for as long as a document takes to be written."""

    def held(files: ChannelFiles, wish: Any) -> None:
        if wish.version == NEW:
            assert place.registry.is_promoted(NEW)
            operator.start()
            assert operator.at_the_lock.wait(30)

    hook(monkeypatch, ChannelFiles, "want", held)
    # The operator's decision comes while the promotion waits for its server, however fast that is.
    hook(monkeypatch, LocalBackend, "_wait", lambda *given: operator.finish())
    with pytest.raises(Overruled, match="changed meanwhile"):
        promote(place, look_at(place))
    check(place, operator)


def test_while_the_server_is_waited_for(place, operator, monkeypatch):
    """The promotion ends at once, and does not put back what was served before."""
    hook(monkeypatch, LocalBackend, "_wait", lambda *given: operator.interfere())
    with pytest.raises(Overruled, match="changed meanwhile"):
        promote(place, look_at(place))
    check(place, operator)


@pytest.mark.parametrize("after", [False, True], ids=["before the probe", "before the line"])
def test_when_the_server_has_come_up(place, operator, monkeypatch, after):
    """What the probe then finds is no fault of the version, and what it found before is worth no line."""
    real = rollout.probe

    def probe(endpoint: Any, release: Any, version: int, **how: Any) -> None:
        if version == NEW and not after:
            operator.interfere()
        real(endpoint, release, version, **how)
        if version == NEW:
            operator.interfere()

    monkeypatch.setattr(rollout, "probe", probe)
    with pytest.raises(Overruled, match="changed meanwhile"):
        promote(place, look_at(place))
    check(place, operator)


def failing_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    real = rollout.probe

    def probe(endpoint: Any, release: Any, version: int, **how: Any) -> None:
        if version == NEW:
            raise Surroundings("it answers otherwise")
        real(endpoint, release, version, **how)

    monkeypatch.setattr(rollout, "probe", probe)


def test_before_a_failed_rollout_is_undone(place, operator, monkeypatch):
    """What is not the rollout's own any more is not put back."""
    failing_probe(monkeypatch)
    hook(monkeypatch, rollout, "undo", lambda *given: operator.interfere())
    with pytest.raises(Surroundings, match="it answers otherwise"):
        promote(place, look_at(place))
    check(place, operator)


def test_while_a_failed_rollout_is_undone(place, operator, monkeypatch):
    """The way back to version 2 ends where the operator has decided otherwise."""
    failing_probe(monkeypatch)

    def in_the_way_back(backend: LocalBackend, channel: str, wish: Any, *rest: Any) -> None:
        if wish.version == 2:
            operator.interfere()

    hook(monkeypatch, LocalBackend, "_wait", in_the_way_back)
    with pytest.raises(Surroundings, match="it answers otherwise"):
        promote(place, look_at(place))
    check(place, operator)


def test_a_version_that_does_not_load_while_the_operator_acts(place, operator, monkeypatch):
    """The backend's own way back leaves alone what is not its own, too."""
    tflite = place.registry.folder(NEW) / "assets.extra" / "model.tflite"
    monkeypatch.setattr("tasks.release.reader.Release.verify", lambda release: None)
    tflite.write_bytes(b"no model")
    hook(monkeypatch, LocalBackend, "_undo", lambda *given: operator.interfere())
    with pytest.raises(SlipwayError):
        promote(place, look_at(place))
    check(place, operator)


def test_a_crashed_production_is_not_brought_back_against_an_operator(place, operator, monkeypatch):
    """A run that mends what it found crashed leaves alone what was decided since it looked."""
    serving = place.backend.current("production")

    def crashed(channel: str) -> Any:
        operator.interfere()
        return type(serving)(0, False, serving.endpoint, "crashed", serving.wanted)

    with monkeypatch.context() as patched:
        patched.setattr(place.backend, "current", crashed)
        real = type(place.backend).current
        operator.act = lambda act=operator.act: (
            patched.setattr(place.backend, "current", lambda channel: real(place.backend, channel)),
            act(),
        )
        rollout.bring_back(place.backend, should_stop=lambda: False)
    check(place, operator)


def test_two_operators_at_once_go_back_once(place, monkeypatch):
    """Both saw version 2: both go to the one before it, and not the second one further."""
    other = Operator(lambda: go_back(place, 0, "the other", JUDGING, SERVING))
    real = rollout.roll_out

    def roll_out(*given: Any, **how: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            other.interfere()
        return real(*given, **how)

    monkeypatch.setattr("tasks.production.roll_out", roll_out)
    assert go_back(place, 0, "the one", JUDGING, SERVING).version == 1
    serving = place.backend.current("production")
    assert (serving.version, serving.detail) == (1, "")
