"""The targets of the Makefile, in a copy of it: the real environment is left alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
Make = Callable[..., "subprocess.CompletedProcess[str]"]

# Stands in for Python 3.11: it notes how it is called, and makes an environment whose python does nothing.
PYTHON = """#!/bin/sh
echo "$@" >> python.log
rm -rf .venv
mkdir -p .venv/bin
printf '#!/bin/sh\\n' > .venv/bin/python
chmod +x .venv/bin/python
"""


def write_script(path: Path, text: str) -> Path:
    """Give the path of a new executable file with that text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run make in a folder with nothing but the Makefile and the files that its targets depend on."""
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).touch()
    # These tests may themselves be run by make, whose options are not meant for another one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )

    return run


def test_help_lists_every_target(make):
    """Each target that a comment describes is a line of `make help`, and so of `make`."""
    described = re.findall(r"^([a-z-]+):.*## (.+)$", MAKEFILE.read_text(), re.MULTILINE)
    assert len(described) > 10
    listed = re.findall(r"^  make ([a-z-]+) +(.+)$", make("help").stdout, re.MULTILINE)
    assert listed == described
    assert make().stdout == make("help").stdout


def test_clean_removes_neither_data_nor_models(make, tmp_path):
    """The environment and the caches go, datasets and releases stay, whatever their folders hold."""
    removed = [line.split()[2:] for line in make("-n", "clean").stdout.splitlines() if line.startswith("rm ")]
    assert removed == [[".venv", "build", "*.egg-info", ".mypy_cache", ".pytest_cache", ".ruff_cache"]]
    for name in (".venv/bin", "build", "tasks/__pycache__", "data/__pycache__", "models/mnist/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    assert make("clean").returncode == 0
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_dir()}
    assert left == {"tasks", "data", "data/__pycache__", "models", "models/mnist", "models/mnist/__pycache__"}


@pytest.mark.parametrize(
    ("folder", "code"), [(".venv", 2), ("other/.venv", 0)], ids=["its own", "another one's"]
)
def test_clean_leaves_the_environment_of_a_running_server(make, tmp_path, folder, code):
    """While a model server of this environment runs, clean names its process and removes nothing."""
    (tmp_path / ".venv").mkdir()
    command = [str(tmp_path / folder / "bin" / "python"), "-c", "read line", "-m", "tasks.serving"]
    with subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE) as server:
        done = make("clean")
        server.communicate()
    told = f"process {server.pid} is a model server that runs out of .venv: stop it first (make stop)"
    assert done.returncode == code
    assert (done.stderr.splitlines()[:1] == [told]) == (code == 2)
    assert (tmp_path / ".venv").exists() == (code == 2)


def test_a_half_made_environment_is_made_anew(make, tmp_path):
    """Where Ctrl-C left a python without pip, the next target makes the environment again, and only once."""
    write_script(tmp_path / ".venv" / "bin" / "python", "#!/bin/sh\nexit 1\n")
    python = write_script(tmp_path / "python", PYTHON)
    stamp = tmp_path / ".venv" / "runtime.stamp"
    for _ in range(2):
        done = make("env", f"PYTHON={python}")
        assert (done.returncode, stamp.exists()) == (0, True), done.stderr
        stamp.unlink()
    assert (tmp_path / "python.log").read_text() == "-m venv --clear .venv\n"
