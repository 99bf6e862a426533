"""The house's rules: where the packages resolve, who imports whom, what happens at import."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tasks.store.code import FIRST_PARTY, ROOT, imported_modules, module_file, running_nodes

SOURCES = sorted(path for name in FIRST_PARTY for path in (ROOT / name).rglob("*.py"))

# What each folder may import of the project, besides itself: data flows one way.
MAY_IMPORT = {
    "settings": set(),
    "tasks.store": {"settings.errors"},
    "tasks.datasets": {"settings.errors", "settings.model", "tasks.store"},
    "tasks.models": {
        "settings.errors",
        "settings.model",
        "settings.hyperparameters",
        "tasks.store",
        "tasks.datasets",
    },
    "tasks.release": {"settings.errors", "tasks.store", "tasks.datasets", "tasks.models"},
    "tasks.serving": {
        "tasks.release.document",
        "settings.errors",
        "tasks.store.files",
        "tasks.store.schema",
        "tasks.store.token",
        "tasks.release.reader",
        "tasks.release.contract",
    },
    "tasks.channels": {"settings.errors", "tasks.store", "tasks.release"},
    "tasks.judging": {"settings.errors", "tasks.store", "tasks.datasets", "tasks.release"},
    "tasks.making": {
        "settings.errors",
        "settings.model",
        "tasks.store",
        "tasks.datasets",
        "tasks.models",
        "tasks.release",
        "tasks.channels",
        "tasks.judging",
    },
    "tasks.reporting": {"settings.errors", "tasks.store", "tasks.judging"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def first_party_imports(path: Path) -> set[str]:
    """Give the first-party modules that a module imports when it runs."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    names = imported_modules(ast.parse(path.read_text()), package)
    return {name for name in names if module_file(name) is not None and "." in name}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_data_flows_one_way(folder):
    """No module of a folder imports one of a later stage, or the flow."""
    allowed = MAY_IMPORT[folder] | {folder}
    for path in (ROOT / folder.replace(".", "/")).rglob("*.py"):
        for name in first_party_imports(path):
            packages = {"tasks", *(each.rpartition(".")[0] for each in allowed)}
            fits = any(name == each or name.startswith(f"{each}.") for each in allowed)
            assert fits or name in packages, f"{path.relative_to(ROOT)} imports {name}"


def test_prefect_stays_in_the_thin_modules():
    """Only flows/ and the modules directly in tasks/ know Prefect."""
    for path in SOURCES:
        names = {name.partition(".")[0] for name in imported_modules(ast.parse(path.read_text()), "")}
        thin = path.parent == ROOT / "tasks" or path.is_relative_to(ROOT / "flows")
        assert thin or "prefect" not in names, path


def test_packages_resolve_here_from_anywhere(tmp_path):
    """flows, tasks and settings are this checkout's, and docker is the package that Prefect needs."""
    names = "flows, tasks, settings, docker"
    code = f"import {names}; print(*(module.__file__ for module in ({names})))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert found[:3] == [str(ROOT / name / "__init__.py") for name in ("flows", "tasks", "settings")]
    assert "site-packages" in found[3]


def test_every_package_is_listed():
    """setuptools is told of every folder with modules: its own discovery would skip tasks."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted({module_name(path.parent / "__init__.py") for path in SOURCES}) == sorted(listed)


def test_no_module_hides_one_of_the_standard_library():
    """`python flows/deliver.py` puts flows/ first on the path, so no module there may be named like one."""
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "__main__"}
    assert not names & sys.stdlib_module_names


def imported_alone(names: list[str], cwd: Path) -> str:
    """Import modules in a process of their own; give which of the heavy libraries came with them."""
    code = (
        "import sys, importlib\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*(name for name in ('prefect', 'tensorflow') if name in sys.modules))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def test_commands_are_quick_to_import(tmp_path):
    """The commands, the keys of a plan and the server bring neither Prefect nor TensorFlow."""
    light = [module_name(path) for path in SOURCES if path.parent == ROOT / "flows" / "commands"]
    light += ["flows.__main__", "tasks.workplace", "tasks.steps", "tasks.serving.__main__"]
    assert imported_alone(light, tmp_path) == ""


def test_nothing_happens_at_import(tmp_path):
    """Importing every module makes no file in the working directory."""
    imported_alone([module_name(path) for path in SOURCES], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nodes_for_the_type_checker_are_left_out():
    """The rule above reads what runs: a type checker's import is not in it."""
    tree = ast.parse("if TYPE_CHECKING:\n    import prefect\nimport os")
    assert imported_modules(tree, "") == ["os"]
    assert not any(isinstance(node, ast.alias) and node.name == "prefect" for node in running_nodes(tree))
