"""The targets of the Makefile, in a copy of it: the real environment is left alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


@pytest.fixture
def stand_ins(tmp_path: Path) -> str:
    """What tells make of the stand-in of Python; the one of uv lies beside it."""
    write_script(tmp_path / "uv", UV)
    return f"PYTHON={write_script(tmp_path / 'python', PYTHON)}"


UV_ITSELF = "pip install --only-binary :all: --require-hashes -r requirements-uv.lock"
LOCKED = "--require-hashes -r requirements.lock"
PROJECT = "--no-deps --no-build-isolation -e ."
UV_IN_PLACE = "uv pip install --system-certs --python .venv/bin/python"
BY_UV = [
    f"{UV_IN_PLACE} --default-index https://mirror.example/simple {words}" for words in (LOCKED, PROJECT)
]
BY_PIP = [f"pip install --progress-bar on {words}" for words in (LOCKED, PROJECT)]


def test_uv_installs_what_is_locked(make, stand_ins, tmp_path):
    """pip gets uv alone, by its hash; uv is asked for the rest where pip would look."""
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == ["-m venv --clear .venv", UV_ITSELF, *BY_UV]
    assert "minutes" not in done.stdout


def test_where_uv_cannot_be_had_pip_installs(make, stand_ins, tmp_path):
    """The same packages by the same hashes, and a line says why it takes long."""
    (tmp_path / "no-uv").touch()
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == ["-m venv --clear .venv", UV_ITSELF, *BY_PIP]
    assert "uv cannot be had here: pip installs, which takes minutes\n" in done.stdout


def test_where_uv_fails_pip_installs(make, stand_ins, tmp_path):
    """As behind a proxy that pip alone is told of."""
    (tmp_path / "no-index").touch()
    done = make("env", stand_ins)
    assert done.returncode == 0, done.stderr
    steps = (tmp_path / "log").read_text().splitlines()[2:]
    assert steps == [BY_UV[0], BY_PIP[0], BY_UV[1], BY_PIP[1]]


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


@pytest.mark.parametrize("lock", LOCKS)
def test_pip_too_takes_the_locks(lock):
    """A name that one package asks for with extras is locked with them.

    Else pip looks at the newest version, finds it without a hash, and ends, while uv goes on.
    """
    text = (ROOT / lock).read_text()
    locked = {
        canonicalize_name(one[0]): one[1] or "" for one in re.findall(r"^([\w.-]+)(\[.+\])?==", text, re.M)
    }
    wanted = [
        Requirement(one)
        for installed in distributions()
        if canonicalize_name(installed.name) in locked
        for one in installed.requires or []
    ]
    for one in wanted:
        # `extra` is that of the package that asks: what is in the lock was asked for.
        asked = one.extras and (one.marker is None or one.marker.evaluate({"extra": ""}))
        if asked and canonicalize_name(one.name) in locked:
            have = set(re.findall(r"[\w-]+", locked[canonicalize_name(one.name)]))
            assert one.extras <= have, f"{one} is locked as {one.name}{locked[canonicalize_name(one.name)]}"
