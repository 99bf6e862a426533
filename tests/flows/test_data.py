"""`slipway data`: sets of one's own, through the command."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.__main__ import main

RANDOM = np.random.default_rng(14)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of pictures, `pets`; the data's root is `data` in it."""
    for name in ("DATA_ROOT", "MODELS_ROOT", "MNIST_DATA_DIR", "notMNIST_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 4), ("test", 2)):
        for label in ("cat", "dog"):
            folder = tmp_path / "pets" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs the command, which has to fail, and gives the one line that it says."""

    def run(*arguments: str, code: int = 2) -> str:
        capsys.readouterr()
        assert main(["data", *arguments]) == code
        said = capsys.readouterr()
        assert said.out == ""
        (told,) = said.err.splitlines()
        return told.removeprefix("slipway: ")

    return run


def archive(folder: Path) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        tar.add(folder, folder.name)
    return target.getvalue()


def test_a_set_from_its_adding_to_its_removal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each word says what it did, and list and show tell what there is."""
    (place / "pets" / "README").write_text("mine")
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.startswith("there is no set of your own below ")
    assert main(["data", "add", "my-pets", "pets"]) == 0
    summary = "my-pets: 2 classes, 8 train and 4 test rows of 6x5x3 (uint8)"
    remark = "  remark     1 beside the classes are passed over, as README"
    assert capsys.readouterr().out.splitlines() == [summary, remark]
    assert main(["data", "add", "my-pets", "pets"]) == 0
    assert capsys.readouterr().out == "my-pets is there already, with this content\n"
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out == f"{summary}\n"
    assert main(["data", "show", "my-pets"]) == 0
    shown = capsys.readouterr().out.splitlines()
    noted = json.loads((place / "data" / "my-pets" / "set.json").read_bytes())
    assert shown[:2] == [summary, f"  digest     {noted['digest']}"]
    assert shown[3:] == ["  class      cat: 4 train, 2 test", "  class      dog: 4 train, 2 test", remark]
    assert main(["data", "remove", "my-pets"]) == 0
    assert [path.name for path in (place / "data").iterdir()] == ["lock"]


def test_in_a_process_of_its_own(place: Path) -> None:
    """The console script does it, from a relative path, and its name is all that it is known by later."""
    command = [sys.executable, "-m", "flows", "data"]
    told = subprocess.run([*command, "add", "pets", "./pets/"], cwd=place, capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
    (place / "pets").rename(place / "elsewhere")
    told = subprocess.run([*command, "show", "nothing"], cwd=place, capture_output=True, text=True)
    assert told.returncode == 2
    assert told.stderr == (
        f"slipway: there is no set 'nothing' below {place / 'data'}; of your own there are: pets\n"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Pets", "'Pets' is no name of a set: small letters, digits and hyphens"),
        ("../pets", "'../pets' is no name of a set"),
        ("p" * 41, "is no name of a set"),
        ("mnist", "mnist is a dataset of the catalogue"),
        ("shuffled", "shuffled is a dataset of the catalogue"),
        ("left-out", "left-out is one of left-out, downloads, "),
        ("lock", "lock is one of "),
    ],
)
def test_names(place: Path, line: Callable[..., str], name: str, told: str) -> None:
    """A name that a set cannot have is refused before anything is read or written."""
    assert told in line("add", name, "pets")
    assert not (place / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "pets", "nowhere"), "nowhere: there is no such file or folder"),
        (("add", "pets", "pets", "--test-share", "0.2"), "pets: has train and test already"),
        (
            ("add", "pets", "pets/train"),
            "pets/train: has classes, and neither train nor test: --test-share 0.2",
        ),
        (("add", "pets", "pets", "--outliers", "--test-share", "0.2"), "give one of them"),
        (("add", "pets", "https://localhost/a.zip"), "--sha256 has to say the SHA-256 of the file"),
        (("add", "pets", "https://localhost/a.zip", "--sha256", "12"), "--sha256 has to say"),
        (
            ("add", "pets", "pets", "--sha256", "0" * 64),
            "--sha256 is of a file at an address, and pets is none",
        ),
        (("show", "pets"), "there is no set 'pets' below "),
        (("remove", "pets"), "there is no set 'pets' below "),
        (("remove", "mnist"), "there is no set 'mnist' below "),
    ],
)
def test_what_is_refused(
    place: Path, line: Callable[..., str], arguments: tuple[str, ...], told: str
) -> None:
    """One line with exit code 2, and nothing is left."""
    assert told in line(*arguments)
    data = place / "data"
    assert not data.exists() or not list(data.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("add",),
        ("add", "pets"),
        ("add", "pets", "pets", "--test-share", "1"),
        ("add", "pets", "pets", "--test-share", "nan"),
        ("add", "pets", "pets", "--unreadable", "-1"),
        ("add", "pets", "x.npz", "--arrays", "x_train"),
        ("forget", "pets"),
    ],
)
def test_wrong_arguments(place: Path, arguments: tuple[str, ...]) -> None:
    """argparse says what is wrong with them, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(["data", *arguments])
    assert ended.value.code == 2


@pytest.mark.parametrize("word", ["add", "list", "show", "remove"])
def test_every_word_has_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help tells what a word does, and does nothing."""
    with pytest.raises(SystemExit) as ended:
        main(["data", word, "--help"])
    assert ended.value.code == 0
    assert f"usage: slipway data {word}" in capsys.readouterr().out


def test_other_content_needs_replace(place: Path, line: Callable[..., str]) -> None:
    """What a name stands for does not change by accident."""
    assert main(["data", "add", "pets", "pets"]) == 0
    (place / "pets" / "train" / "cat" / "0.png").unlink()
    assert "there is a set pets already, with other content" in line("add", "pets", "pets")
    assert main(["data", "add", "pets", "pets", "--replace"]) == 0
    assert json.loads((place / "data" / "pets" / "set.json").read_bytes())["counts"]["train"]["cat"] == 3


@pytest.fixture
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of the files of the working directory."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    handler = functools.partial(Quiet, directory=str(place))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_archive_at_an_address(place: Path, home: str, line: Callable[..., str]) -> None:
    """It is the set that its digest says, and the same as from the folder; another digest is refused."""
    data = archive(place / "pets")
    (place / "pets.tar.gz").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    wrong = line("add", "pets", f"{home}/pets.tar.gz", "--sha256", "0" * 64)
    assert wrong == f"{home}/pets.tar.gz: its SHA-256 is {digest}, not {'0' * 64}"
    assert main(["data", "add", "pets", f"{home}/pets.tar.gz", "--sha256", digest.upper()]) == 0
    assert main(["data", "add", "pets", "pets"]) == 0  # changes nothing
    noted = json.loads((place / "data" / "pets" / "set.json").read_bytes())
    assert noted["source"] == f"{home}/pets.tar.gz"
    told = line("add", "other", f"{home}/none.tar.gz", "--sha256", digest, code=3)
    assert told.startswith(f"{home}/none.tar.gz: answers 404")
    assert sorted(path.name for path in (place / "data").iterdir()) == ["lock", "pets"]


def test_a_set_waits_for_a_run_that_gathers_datasets(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is read meanwhile, and put into its place when the run has ended."""
    program = (
        "import sys; from pathlib import Path; from tasks.store.lock import run_lock\n"
        f"with run_lock(Path({str(place / 'data')!r}), what='a run'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        timer = threading.Timer(0.5, other.stdin.close)
        timer.start()
        assert main(["data", "add", "pets", "pets"]) == 0
        timer.join()
    assert "waiting for a run (pid " in caplog.text
