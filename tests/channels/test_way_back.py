"""The commands of an emergency need no module of a user, and no setting of another stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.__main__ import main
from settings.places import read_places
from tasks.release.document import Wanted
from tasks.workplace import Workplace, open_workplace
from tests.channels.conftest import free_port

BROKEN = {
    "a module that is missing": ("deliver.toml", 'model = "nowhere.py"\n'),
    "a section that is no stage": ("deliver.toml", "[forest]\ntrees = 3\n"),
    "a value that is wrong": (
        "deliver.toml",
        '[judging]\nparity_rtol = "exact"\n[serving]\nmax_images = 0\n',
    ),
    "no TOML": ("deliver.toml", "[serving\n"),
    "a model in .env": (".env", "MODEL=broken.py\nFOREST__TREES=3\nSERVING__RUNTIME=onnx\n"),
}


@pytest.fixture
def place(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The workplace of the only model, letters: versions 1 and 2 were promoted, 2 is in production."""
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    shutil.rmtree(models / "candidates")
    (models / "mnist").rename(models / "letters")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def broken(:\n")
    monkeypatch.setenv("MODELS_ROOT", str(models))
    monkeypatch.delenv("SERVING__NAME", raising=False)
    for channel in ("STAGE", "PRODUCTION"):
        monkeypatch.setenv(f"{channel}_PORT", str(free_port()))
    made = open_workplace(read_places(os.environ, tmp_path), "letters")
    for version in (1, 2):
        made.registry.history.append("promoted", version, made.registry.digest(version), "a test")
    made.backend.put("production", Wanted(2, max_images=70, previous=1), should_stop=lambda: False)
    yield made
    for each in ("stage", "production"):
        made.backend.remove(each)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.mark.parametrize(("file", "content"), BROKEN.values(), ids=BROKEN)
def test_every_command_works(place, capsys, tmp_path, monkeypatch, file, content):
    """Whatever else the sources name: the only model is found, and keeps the limits of its document."""
    (tmp_path / file).write_text(content)
    monkeypatch.setenv("MODEL", "nowhere.module")
    assert "version 2 of letters at" in said(capsys, "status")
    assert "version 1 of letters is in production" in said(capsys, "rollback")
    assert place.backend.current("production").wanted == Wanted(1, max_images=70)
    assert "rolled back" in said(capsys, "history")
    said(capsys, "stop")
    assert "version 1 of letters is served at" in said(capsys, "start")
    assert "version 1 of letters is served at" in said(capsys, "restart")
    assert place.backend.current("production").wanted == Wanted(1, max_images=70)
    said(capsys, "prune", "--keep", "2")


def test_what_is_left_out_is_one_warning(place, capsys, tmp_path, caplog):
    """With the origin of each value; what is right in the same section counts."""
    (tmp_path / "deliver.toml").write_text(
        '[forest]\ntrees = 3\n[serving]\nname = "letters"\nmax_images = 0\nport = 1\n'
    )
    said(capsys, "status")
    (message,) = caplog.messages
    assert message.startswith("settings are left out: ")
    assert "deliver.toml: serving.max_images is 0, not a whole number" in message
    assert "deliver.toml: serving.port is not known" in message
    assert "forest" not in message


def test_a_rollback_after_a_stop_keeps_the_limits(place, capsys):
    """What was kept at the stop says how the model is served, not what the settings say by now."""
    said(capsys, "stop")
    said(capsys, "rollback")
    assert place.backend.current("production").wanted == Wanted(1, max_images=70)


@pytest.mark.parametrize(
    ("names", "setting", "option", "found"),
    [
        ((), "", "", "mnist"),
        (("letters",), "", "", "letters"),
        (("digits", "letters", "mnist"), "", "", "mnist"),
        (("digits", "letters", "mnist"), "digits", "", "digits"),
        (("digits", "letters"), "digits", "letters", "letters"),
        (("digits", "letters"), "", "", None),
    ],
)
def test_which_model_it_is(tmp_path, monkeypatch, capsys, names, setting, option, found):
    """--name, else the setting, else the only one, else mnist; else the names that there are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS_ROOT", str(tmp_path / "models"))
    monkeypatch.delenv("SERVING__NAME", raising=False)
    for name in names:
        (tmp_path / "models" / "candidates" / name / "1").mkdir(parents=True)
    if setting:
        (tmp_path / ".env").write_text(f"SERVING__NAME={setting}\n")
    words = ["history", *(("--name", option) if option else ())]
    if found is None:
        told = said(capsys, *words, code=2)
        assert told == "slipway: there are several models: --name has to be one of digits, letters\n"
    else:
        assert said(capsys, *words) == f"nothing has happened to {found} yet\n"
