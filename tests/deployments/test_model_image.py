"""deployments/model-image.sh: what of a module goes into its image, with a docker that only looks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DOCKER = """#!/bin/sh
echo "$*" >> said
case $1 in
    build) for context; do :; done; cp -r "$context" context;;
    run) echo pictures;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder: a module with what is beside it, and a package."""
    for name in ("my_model.py", "layers.py", "words.txt", "package/model.py", "package/deep/words.txt"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o600)
    (tmp_path / "project" / ".hidden").touch()
    (tmp_path / "project" / "package" / "__pycache__").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    return tmp_path / "project"


def build(project: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the user's folder."""
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / "deployments" / "model-image.sh"), *arguments],
        cwd=project,
        env=os.environ | {"PATH": path} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def copied(project: Path) -> set[str]:
    """The files of the module in the image."""
    home = project / "context" / "module"
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("model", "environ", "inside", "files"),
    [
        ("my_model.py", {}, "/model/my_model.py", {"my_model.py", "layers.py"}),
        (
            "my_model.py",
            {"WHOLE_FOLDER": "1"},
            "/model/my_model.py",
            {"my_model.py", "layers.py", "words.txt", "package/model.py", "package/deep/words.txt"},
        ),
        ("package.model", {}, "package.model", {"package/model.py", "package/deep/words.txt"}),
    ],
    ids=["file", "folder", "package"],
)
def test_the_module_and_what_it_needs_are_in_the_image(project, model, environ, inside, files):
    """Of a file the .py files beside it, on demand all; of a package the whole. Everybody may read it."""
    done = build(project, model, "some", "7", **environ)
    assert (done.returncode, done.stdout) == (0, "pictures\n"), done.stderr
    said = (project / "said").read_text()
    assert f"--build-arg FLOW=some/flow:7 --build-arg MODEL={inside} " in said
    assert "some/flow-pictures:7\n" in said
    here = {"said", "context"} if environ else set()  # of the docker of this test
    assert {one for one in copied(project) if one.partition("/")[0] not in here} == files
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (project / "context").rglob("*"))
    assert (project / "context" / "requirements.txt").read_text() == ""


def test_requirements_are_brought(project):
    """To be installed on top; a file that is not there is told."""
    (project / "needs.txt").write_text("scikit-learn\n")
    assert build(project, "my_model.py", "some", "7", REQUIREMENTS="needs.txt").returncode == 0
    assert (project / "context" / "requirements.txt").read_text() == "scikit-learn\n"
    done = build(project, "my_model.py", "some", "7", REQUIREMENTS="none.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "model-image: MODEL_REQUIREMENTS=none.txt: there is no such file\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.py"], "MODEL=none.py: there is no such file"),
        (
            ["package/model"],
            "MODEL=package/model: a file ends in .py, and a module of a package is named with dots",
        ),
        (["nothing.model"], "MODEL=nothing.model: there is no package nothing in "),
        (["my_model.py", "some", "7", "images"], "the model of my_model.py is called pictures, not images"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(project, arguments, line):
    """And no image gets a name."""
    done = build(project, *arguments, *["some", "7"][len(arguments) - 1 :])
    assert (done.returncode, done.stdout) == (2, "")
    assert f"model-image: {line}" in done.stderr
    called = (project / "said").read_text().splitlines() if (project / "said").exists() else []
    assert not any(one.startswith("tag ") for one in called)
