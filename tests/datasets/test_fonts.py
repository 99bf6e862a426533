from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tasks.datasets.catalogue import Dataset
from tasks.datasets.containers import LARGEST_READ
from tasks.datasets.fonts import FontFile, font_sets

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")


def sets(folder: Path, *sources: str, local: tuple[Path, ...] = ()) -> tuple[list[object], list[object]]:
    """All sets of fonts that these sources give, and what was tried in vain."""
    dataset = Dataset("glyphs", "letters", "rendered", {"test": 10}, sources)
    tried: list[dict[str, str]] = []
    return list(font_sets(dataset, folder / "home", local, tried, lambda: False)), tried


def package(folder: Path, name: str, fonts: dict[str, bytes]) -> None:
    """A Debian package of files in `folder`."""
    tree = folder / f"{name}-tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <n@example.org>\n"
        "Description: fonts\n"
    )
    (tree / "usr/share/fonts").mkdir(parents=True)
    for file, data in fonts.items():
        (tree / "usr/share/fonts" / file).write_bytes(data)
    build = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder)]
    subprocess.run(build, check=True, capture_output=True)


def test_pillows_own_is_the_last(tmp_path: Path) -> None:
    """There is always one set."""
    assert sets(tmp_path) == ([("the font that Pillow carries", [FontFile("Pillow", b"")])], [])


def test_a_folder(tmp_path: Path) -> None:
    """The fonts below a folder, by name, and no other files."""
    fonts = tmp_path / "fonts"
    (fonts / "deep").mkdir(parents=True)
    for name in ("b.ttf", "deep/a.OTF", "deep/readme.txt", "c.pfb"):
        (fonts / name).write_bytes(name.encode())
    given, _ = sets(tmp_path, str(fonts))
    assert given[0] == (str(fonts), [FontFile("a.OTF", b"deep/a.OTF"), FontFile("b.ttf", b"b.ttf")])


def test_a_folder_of_thousands(tmp_path: Path) -> None:
    """Of very many fonts a spread is taken, the same each time."""
    for number in range(450):
        (tmp_path / f"{number:03}.ttf").write_bytes(b"x")
    given, _ = sets(tmp_path, str(tmp_path))
    fonts = given[0][1]
    assert len(fonts) == 150
    assert [font.name for font in fonts[:2]] == ["000.ttf", "003.ttf"]


@needs_dpkg
def test_packages_together(tmp_path: Path) -> None:
    """The fonts of all packages are one set, out of package files that are there already."""
    package(tmp_path, "fonts-one", {"z.ttf": b"z", "readme": b"r"})
    package(tmp_path, "fonts-two", {"a.otf": b"a"})
    given, tried = sets(tmp_path, "deb:fonts-one", "deb:fonts-two", local=(tmp_path,))
    assert given[0] == ("deb:fonts-one, deb:fonts-two", [FontFile("a.otf", b"a"), FontFile("z.ttf", b"z")])
    assert tried == []


@needs_dpkg
def test_a_large_font_and_one_that_is_too_large(tmp_path: Path) -> None:
    """A font of the largest size is read, a larger one is passed over, and the set stays whole."""
    large = bytes(LARGEST_READ)
    package(tmp_path, "fonts-one", {"a.ttf": b"a", "large.ttf": large, "larger.ttf": large + b"x"})
    given, tried = sets(tmp_path, "deb:fonts-one", local=(tmp_path,))
    assert [font.name for font in given[0][1]] == ["a.ttf", "large.ttf"]
    assert tried == []


def test_a_package_that_ends_within_a_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose content is cut off is noted, and the next set of fonts is used."""
    info = tarfile.TarInfo("a.ttf")
    info.size = 100_000
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "content").write_bytes(info.tobuf() + bytes(5_000))
    (tools / "dpkg-deb").write_text(f"#!/bin/sh\nexec cat {tools / 'content'}\n")
    (tools / "dpkg-deb").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    (tmp_path / "fonts-one_1_all.deb").touch()
    given, tried = sets(tmp_path, "deb:fonts-one", local=(tmp_path,))
    assert len(given) == 1
    assert "not a readable tar archive" in tried[0]["reason"]


def test_packages_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one package cannot be had, none of them is used: the letters would depend on chance."""
    monkeypatch.setenv("PATH", str(tmp_path))
    given, tried = sets(tmp_path, "deb:fonts-one", "deb:fonts-two")
    assert len(given) == 1
    assert tried == [{"source": "deb:fonts-one, deb:fonts-two", "reason": "apt-get is not on this machine"}]
