"""What a prune removes, and what it never does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.__main__ import main
from settings.errors import Surroundings, WrongInput
from settings.places import read_places
from tasks.channels.files import ChannelFiles
from tasks.prune import prune, prune_after
from tasks.release.document import Wanted
from tasks.store.artifacts import RECORD, Artifact
from tasks.store.files import aside
from tasks.store.keys import make_key
from tasks.workplace import open_workplace, other_registries


@dataclass
class Models:
    """A models' root that is filled as deliveries fill it, with a few bytes in each artifact."""

    root: Path

    def __post_init__(self) -> None:
        self.places = read_places(os.environ, self.root)
        self.mnist = self.root / "data" / "mnist"

    def place(self, name: str = "m"):
        """Give the workplace of a model."""
        return open_workplace(self.places, name)

    def make(self, kind: str, content: str, inputs: dict[str, Artifact], **more: str) -> Artifact:
        """Make an artifact of that content, of those inputs."""
        digests = {name: made.digest for name, made in inputs.items()}
        key = make_key(modules=[], inputs=digests, settings={"content": content} | more)
        records = self.root / "models" / "records"
        records.mkdir(parents=True, exist_ok=True)
        (records / f"{kind}-{key.digest}".replace("/", "-")).write_text("{}")

        def work(folder: Path) -> None:
            (folder / "content").write_text(content)

        return self.place().store.make(kind, key, work)

    def deliver(self, number: int, *, promote: bool = True, name: str = "m") -> int:
        """Make everything of a delivery, of the dataset that all have; give the version."""
        place = self.place(name)
        dataset = self.make("dataset/mnist", "digits", {})
        classifier = self.make("classifier", f"{name} {number}", {"dataset": dataset})
        concept = self.make("concept", "the concept", {"dataset": dataset})
        of = {"dataset": dataset, "classifier": classifier, "concept": concept}
        release = self.make("release", f"release {name} {number}", of)
        outliers = self.make("dataset/glyphs", "letters", {})
        asked = {"release": release, "set test": dataset, "set glyphs": outliers}
        self.make("scores", f"scores {name} {number}", asked)
        self.make("verdict", f"verdict {name} {number}", asked)
        version = place.registry.add(place.store.folder(release), release.digest)
        receipt = place.registry.receipts / f"{version}-1"
        receipt.mkdir(parents=True)
        (receipt / "receipt.json").write_text("{}")
        if promote:
            place.registry.promote(version)
            place.registry.history.append("promoted", version, release.digest, "test")
            ChannelFiles(place.backend.folder, "production").want(Wanted(version))
        return version

    def there(self, name: str = "m") -> set[int]:
        """Give the versions that are there."""
        return set(self.place(name).registry.versions())

    def stored(self, kind: str) -> set[str]:
        """Give the contents of the artifacts of a kind."""
        home = self.place().store.home(kind)
        return {(folder / "content").read_text() for folder in home.iterdir() if (folder / RECORD).exists()}

    def prune(self, keep: int, name: str = "m", **how):
        """Prune, as the command does."""
        return prune(self.place(name), keep, others=other_registries(self.places, name), **how)

    def files(self) -> dict[str, int]:
        """Give the bytes of every file but the locks."""
        paths = [path for path in self.root.rglob("*") if path.is_file() and path.name != "lock"]
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in paths}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A models' root in which nothing is yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("MODELS_ROOT", "DATA_ROOT", "STAGE_PORT", "PRODUCTION_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STAGE_PORT", "9")  # where nobody answers
    monkeypatch.setenv("PRODUCTION_PORT", "10")
    return Models(tmp_path)


def test_the_newest_stay_with_all_that_they_need(models):
    """Of five promoted versions and three candidates the two newest of each stay, with all of theirs."""
    promoted = [models.deliver(number) for number in range(5)]
    candidates = [models.deliver(number, promote=False) for number in range(5, 8)]
    before = models.files()
    left = models.prune(2)
    kept = {*promoted[-2:], *candidates[-2:]}
    assert models.there() == kept
    assert set(left.versions) == {*promoted, *candidates} - kept
    numbers = {version - 1 for version in kept}
    assert models.stored("classifier") == {f"m {number}" for number in numbers}
    for kind in ("release", "scores", "verdict"):
        assert models.stored(kind) == {f"{kind} m {number}" for number in numbers}
    assert models.stored("concept") == {"the concept"}  # all of them have it
    assert models.stored("dataset/mnist") == {"digits"}
    assert models.stored("dataset/glyphs") == {"letters"}
    after = models.files()
    history = "models/m/history.jsonl"
    assert after.pop(history) > before.pop(history), "the history only grows"
    assert left.bytes == sum(before.values()) - sum(after.values())
    assert len([name for name in after if "/receipts/" in name]) == 8
    assert [
        event.version for event in models.place().registry.history.events() if event.event == "pruned"
    ] == [
        1,
        2,
        3,
        6,
    ]
    assert models.prune(2).bytes == 0


def test_prefects_records_go(models):
    """Nobody reads what Prefect wrote of results, nor what an earlier version let it write."""
    for number in range(3):
        models.deliver(number)
    records = models.root / "models" / "records"
    (records / "0123456789abcdef").write_text("{}")
    models.prune(2)
    assert not list(records.iterdir())


def test_production_and_its_ways_back_stay(models):
    """Production, the version before it and the one that its document names stay, however old they are."""
    for number in range(6):
        models.deliver(number)
    registry = models.place().registry
    registry.history.append("rolled back", 3, "d", "test")
    ChannelFiles(models.place().backend.folder, "production").want(Wanted(3, previous=1))
    models.prune(1)
    assert models.there() == {1, 2, 3, 6}


def test_the_champions_comparison_stays(models):
    """The version that production was compared with stays: an unchanged delivery asks for its number."""
    for number in range(4):
        models.deliver(number)
    place = models.place()
    digest = place.registry.digest(4)
    place.registry.history.append("promoted", 4, digest, "test", champion=1)
    models.prune(1)
    assert models.there() == {1, 3, 4}


def test_what_the_stage_serves_stays(models):
    """A candidate that somebody looks at on the stage is not taken away."""
    for number in range(4):
        models.deliver(number, promote=False)
    ChannelFiles(models.place().backend.folder, "stage").want(Wanted(2))
    models.prune(1)
    assert models.there() == {2, 4}


def test_another_model_keeps_its_own(models):
    """The store is shared: what versions of another model are made of stays, and so do these."""
    for number in range(3):
        models.deliver(number)
        models.deliver(number, name="other")
    models.prune(1)
    assert models.there("other") == {1, 2, 3}
    assert {f"release other {number}" for number in range(3)} <= models.stored("release")
    assert models.stored("classifier") == {f"other {number}" for number in range(3)} | {"m 1", "m 2"}


def test_a_training_that_waits_for_its_release_stays(models):
    """A delivery that was stopped after a training goes on from it; after a week nobody comes for it."""
    models.deliver(0)
    waiting = models.make("classifier", "waiting", {})
    forgotten = models.make("classifier", "forgotten", {})
    record = models.place().store.folder(forgotten) / RECORD
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"made_at": "2020-01-01T00:00:00+00:00"}))
    models.prune(1)
    assert models.stored("classifier") == {"m 0", "waiting"}
    assert models.place().store.folder(waiting).is_dir()


def test_of_a_dataset_that_was_made_again_the_newest_stays(models):
    """Other code decodes a set anew into the same images: the copy of before is of no use. Downloads stay."""
    models.deliver(0)
    old = models.place().store.home("dataset/mnist")
    (record,) = old.glob(f"*/{RECORD}")
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"made_at": "2020-01-01T00:00:00+00:00"}))
    (old / "downloads").mkdir()
    (old / "downloads" / "images.gz").write_bytes(b"published")
    models.make("dataset/mnist", "digits", {}, code="new")
    models.prune(1)
    assert len(list(old.glob(f"*/{RECORD}"))) == 1
    assert not record.exists()
    assert (old / "downloads" / "images.gz").read_bytes() == b"published"


def test_a_dry_run_changes_nothing(models, capsys):
    """It tells what would go, with the bytes of each, and the same that a prune then frees."""
    for number in range(3):
        models.deliver(number)
    before = models.files()
    assert main(["prune", "--keep", "1", "--name", "m", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert models.files() == before
    assert re.fullmatch(r"version 1 of m +\d+ bytes", lines[0])
    assert re.fullmatch(r"1 of classifier in the store +\d+ bytes", lines[1])
    told = [int(re.search(r"([\d,]+) bytes", line)[1].replace(",", "")) for line in lines]
    assert sum(told[:-1]) == told[-1]
    assert lines[-1].endswith(" bytes would be freed")
    assert main(["prune", "--keep", "1", "--name", "m"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{told[-1]:,} bytes are freed"


def test_a_dry_run_needs_no_right_to_write(models, capsys, monkeypatch):
    """As in a worker's pod, whose volumes are read-only: it looks without the lock."""
    for number in range(3):
        models.deliver(number)
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr("tasks.prune.run_lock", None)
    assert main(["prune", "--keep", "1", "--name", "m", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("version 1 of m ")


def test_a_pruned_version_is_named_as_such(models):
    """Whoever asks for it is told who pruned it and what is there."""
    for number in range(3):
        models.deliver(number)
    models.prune(1)
    registry = models.place().registry
    with pytest.raises(
        WrongInput, match=r"version 1 of m was pruned by \S+ at \S+ \(the newest 1 are kept\)"
    ):
        registry.folder(1)
    with pytest.raises(WrongInput, match="there is no version 9 of m; there are: 2, 3"):
        registry.folder(9)


def test_a_pruned_release_gets_a_new_number(models):
    """Its number is not given out again, also not to the same files."""
    for number in range(3):
        models.deliver(number)
    models.prune(1)
    assert models.deliver(0) == 4


@pytest.mark.parametrize("root", ["models", "data"])
def test_a_run_that_holds_the_lock_is_named_at_once(models, root):
    """Nothing is pruned while a delivery runs, here or with other models; nobody waits for its end."""
    for number in range(3):
        models.deliver(number)
    code = (
        "import sys, pathlib\n"
        "from tasks.store.lock import run_lock\n"
        f"with run_lock(pathlib.Path({str(models.root / root)!r}), what='a delivery'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for dry_run in (True, False):
            with pytest.raises(Surroundings, match=rf"a delivery \(pid {holder.pid} on .* is at work"):
                models.prune(1, dry_run=dry_run)
        holder.communicate("")
    assert models.there() == {1, 2, 3}
    models.prune(1)
    assert models.there() == {2, 3}


def test_a_prune_that_was_killed_is_finished_by_the_next(models):
    """A version that was written down as pruned and is still there goes, and what went aside is swept."""
    from tasks.store.sweep import sweep

    for number in range(3):
        models.deliver(number)
    place = models.place()
    place.registry.history.append("pruned", 1, "d", "the newest 1 are kept")
    models.prune(1)
    assert models.there() == {2, 3}
    dead = aside(place.registry.releases / "1").name.replace(f"-{os.getpid()}-", "-999999999-")
    (place.registry.releases / dead).mkdir()
    sweep(place.store)
    assert not (place.registry.releases / dead).exists()


def test_a_delivery_prunes_where_it_is_told_to(models, caplog):
    """0 keeps all; a prune that is not possible is a warning and no failure."""
    for number in range(3):
        models.deliver(number)
    others = other_registries(models.places, "m")
    prune_after(models.place(), 0, others)
    assert models.there() == {1, 2, 3}
    history = models.root / "models" / "m" / "history.jsonl"
    history.write_text(history.read_text() + '{"schema": 99}\n')
    prune_after(models.place(), 1, others)
    assert "nothing is pruned: " in caplog.text
    assert models.there() == {1, 2, 3}


@pytest.mark.parametrize("keep", ["0", "-1", "all"])
def test_how_many_stay_is_said(keep, models, capsys):
    """A number of at least 1 has to be given: a prune has no default."""
    with pytest.raises(SystemExit):
        main(["prune", "--keep", keep])
    with pytest.raises(SystemExit):
        main(["prune"])
    assert "--keep" in capsys.readouterr().err
