"""The targets of the Makefile, in a copy of it: the real environment is left alone."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = ROOT / "Makefile"
LOCKS = ("requirements.lock", "requirements-test.lock", "requirements-serve.lock", "requirements-uv.lock")
Make = Callable[..., "subprocess.CompletedProcess[str]"]

# Stands in for Python 3.11: it notes how it is called, and makes an environment whose python notes it too.
# Its pip gets uv, unless there is a file no-uv; uv fails where there is a file no-index.
PYTHON = """#!/bin/sh
case $1 in -c) echo Python 3.11; exit ;; esac
echo "$@" >> log
rm -rf .venv
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
case $* in
    -c*) exit ;;
    *config*) echo "global.index-url='https://mirror.example/simple'"; exit ;;
esac
echo "pip ${*#-m pip --disable-pip-version-check }" >> log
case $* in *requirements-uv.lock*) ;; *) exit ;; esac
[ ! -e no-uv ] || exit 1
cp uv .venv/bin/uv
END
chmod +x .venv/bin/python
"""
UV = """#!/bin/sh
echo "uv $*" >> log
[ ! -e no-index ]
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
    for name in ("pyproject.toml", *LOCKS):
        (tmp_path / name).touch()
    # These tests may themselves be run by make, whose options are not meant for another one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = ["make", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environ | more, capture_output=True, text=True, check=False
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


@pytest.fixture
def stand_ins(tmp_path: Path) -> str:
    """What tells make of the stand-in of Python; the one of uv lies beside it."""
    write_script(tmp_path / "uv", UV)
    return f"PYTHON={write_script(tmp_path / 'python', PYTHON)}"


UV_ITSELF = "pip install --only-binary :all: --require-hashes -r requirements-uv.lock"
BY_UV = (
    "uv pip install --compile-bytecode --system-certs --python .venv/bin/python --default-index https://mirror.example/simple"
    " --require-hashes -r requirements.lock"
)
BY_PIP = "pip install --progress-bar on --require-hashes -r requirements.lock -c requirements.lock"
PROJECT = "pip install --no-deps --no-build-isolation -e ."


def test_uv_installs_what_is_locked(make, stand_ins, tmp_path):
    """pip gets uv alone, by its hash; uv is asked for the rest where pip would look."""
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == ["-m venv --clear .venv", UV_ITSELF, BY_UV, PROJECT]
    assert "minutes" not in done.stdout


def test_where_uv_cannot_be_had_pip_installs(make, stand_ins, tmp_path):
    """The same packages by the same hashes, and a line says why it takes long."""
    (tmp_path / "no-uv").touch()
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        "-m venv --clear .venv",
        UV_ITSELF,
        BY_PIP,
        PROJECT,
    ]
    assert "uv cannot be had here: pip installs, which takes minutes\n" in done.stdout


def test_where_uv_fails_pip_installs(make, stand_ins, tmp_path):
    """As behind a proxy that pip alone is told of."""
    (tmp_path / "no-index").touch()
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    steps = (tmp_path / "log").read_text().splitlines()[2:]
    assert steps == [BY_UV, BY_PIP, PROJECT]


def test_a_half_made_environment_is_made_anew(make, stand_ins, tmp_path):
    """Where Ctrl-C left a python without pip, the next target makes the environment again, and only once."""
    write_script(tmp_path / ".venv" / "bin" / "python", "#!/bin/sh\nexit 1\n")
    stamp = tmp_path / ".venv" / "runtime.stamp"
    for _ in range(2):
        done = make("env", stand_ins)
        assert (done.returncode, stamp.exists()) == (0, True), done.stderr
        stamp.unlink()
    assert (tmp_path / "log").read_text().count("-m venv") == 1


@pytest.mark.parametrize("target", ["deliver", "env-test", "lock"])
@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("#!/bin/sh\necho Python 3.12\n", "is Python 3.12"),
        ("#!/bin/sh\necho pyenv: no such version >&2\nexit 127\n", "is no Python"),
        (None, "is not on the PATH"),
    ],
    ids=["another version", "a shim of nothing", "none"],
)
def test_another_python_is_refused_before_anything_is_made(make, tmp_path, target, python, told):
    """One line with what was found and the remedy, and nothing was installed."""
    path = tmp_path / "pythons" / "python3.11"
    if python:
        write_script(path, python)
    before = set(tmp_path.rglob("*"))
    done = make(target, f"PYTHON={path}")
    assert done.returncode == 2
    line, makes = done.stderr.splitlines()
    assert line == f"Python 3.11 is needed: {path} {told} (make PYTHON=/path/to/python3.11 …)"
    assert makes.startswith("make: ***")
    assert set(tmp_path.rglob("*")) == before


def write_wheel(folder: Path, name: str, version: str, *needs: str) -> str:
    """Write a wheel with nothing in it but what it needs; give its line of a lock."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        about = f"{name}-{version}.dist-info"
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
        wheel.writestr(f"{about}/METADATA", "\n".join(["Metadata-Version: 2.1", *lines]))
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


# Builds the project: its wheel is there.
BACKEND = """
import shutil

def build_editable(folder, *more):
    return shutil.copy("project-1-py3-none-any.whl", folder).rpartition("/")[2]
"""


def test_pip_takes_a_lock_that_is_not_of_the_newest(make, tmp_path):
    """The real pip, where one package asks for extras of another, of which a newer version is there."""
    lines = [
        write_wheel(tmp_path, "first", "1", "wanted"),
        write_wheel(tmp_path, "second", "1", "wanted[more]"),
        write_wheel(tmp_path, "wanted", "1"),
    ]
    write_wheel(tmp_path, "wanted", "2")
    (tmp_path / "requirements.lock").write_text("".join(lines))
    (tmp_path / "requirements-uv.lock").write_text(f"uv==1 --hash=sha256:{'0' * 64}\n")
    write_wheel(tmp_path, "project", "1")
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    python = Path(sys.base_prefix) / "bin" / "python3.11"
    done = make("env", f"PYTHON={python}", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    installed = {path.name for path in tmp_path.glob(".venv/lib/python3.11/site-packages/*.dist-info")}
    assert {"first-1.dist-info", "second-1.dist-info", "wanted-1.dist-info"} <= installed
