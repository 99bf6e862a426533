"""The code's part of a key where single functions decide: their syntax trees, and of what they reach.

A user's module holds several networks, and each is trained by its own functions. So the key of one has the
functions that it is built by, and what they reach by name in their module and in modules beside it. What they
import of this project counts with all that it imports (code.py), of a library its version. Annotations decide
nothing, nor does the value of a field of a settings class, which is a part of the key of its own.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from settings.errors import WrongInput
from tasks.store.code import FIRST_PARTY, code_digests, parsed, what_runs
from tasks.store.code import edited as edited_modules


@dataclass
class Reached:
    """What functions reach: the digest of each part of the code by its name, and libraries."""

    digests: dict[str, str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)  # distributions


@dataclass(frozen=True)
class Source:
    """A module's file: what binds each name at its top; the name "" stands for what runs in any case."""

    bindings: Mapping[str, tuple[ast.stmt, ...]]
    root: Path  # the folder that its dotted name starts from
    package: str


_parts: dict[
    str, tuple[str, str, bool]
] = {}  # of each part of a key: its module and name, and if of settings


def reach(functions: Iterable[Callable[..., Any]], settings: type = object) -> Reached:
    """Give what functions reach, and the methods of a class of settings.

    Raises WrongInput for what is no function at the top of a module, and for a library that is not installed.
    """
    found = Reached()
    waiting = [(each.__module__, _top_level_name(each), False) for each in functions]
    waiting += [
        (each.__module__, each.__qualname__, True)
        for each in settings.__mro__
        if each.__module__.partition(".")[0] not in (*FIRST_PARTY, "builtins", "pydantic", "abc", "typing")
    ]
    seen = set()
    while waiting:
        module, name, is_settings = waiting.pop()
        if (module, name) in seen:
            continue
        seen.add((module, name))
        source = _source(module)
        if source is None:
            continue
        waiting.append((module, "", False))
        statements = _deciding(source, name, is_settings)
        if any(not isinstance(statement, ast.Import | ast.ImportFrom) for statement in statements):
            part = f"{module}.{name}".removesuffix(".")
            found.digests[part] = _digest(statements)
            _parts[part] = (module, name, is_settings)
        for statement in statements:
            for target in _targets(statement, name, module, source, found):
                waiting.append((*target, False))
    return found


def edited(digests: Mapping[str, str]) -> list[str]:
    """Give the modules and functions whose files say something else than when these digests were made."""
    changed = edited_modules({name: digest for name, digest in digests.items() if name not in _parts})
    for part in digests.keys() & _parts.keys():
        module, name, is_settings = _parts[part]
        source = _read_now(module)
        if source is None or digests[part] != _digest(_deciding(source, name, is_settings)):
            changed.append(part)
    return changed


def _read_now(module: str) -> Source | None:
    """Read a module as it is now; None where it is gone, or no Python."""
    try:
        return _read(module)
    except (OSError, SyntaxError, ValueError):
        return None


def _top_level_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", "")
    if not name.isidentifier():
        raise WrongInput(
            f"{name or repr(function)} is no function at the top of a module: what a network is made by "
            "has to be one, since its code tells whether to train anew"
        )
    return name


def _deciding(source: Source, name: str, is_settings: bool) -> tuple[ast.stmt, ...]:
    """Give the statements of a name that decide a result: of a class of settings, its methods alone."""
    statements = source.bindings.get(name, ())
    if not is_settings:
        return statements
    bodies = (each.body for each in statements if isinstance(each, ast.ClassDef))
    return tuple(each for body in bodies for each in body if not isinstance(each, ast.AnnAssign | ast.Pass))


@cache
def _source(module: str) -> Source | None:
    """Read a module once per process, as it was imported."""
    return _read(module)


def _read(module: str) -> Source | None:
    path = _file_of(module)
    if path is None:
        return None
    bindings: dict[str, list[ast.stmt]] = {}
    for statement in what_runs(parsed(path)).body:
        if isinstance(statement, ast.If) and not statement.body and not statement.orelse:
            continue  # for a type checker
        for name in [*_bound(statement)] or [""]:
            bindings.setdefault(name, []).append(_without_annotations(statement))
    parts = module.split(".")
    is_package = path.name == "__init__.py"
    return Source(
        {name: tuple(found) for name, found in bindings.items()},
        root=path.resolve().parents[len(parts) if is_package else len(parts) - 1],
        package=module if is_package else module.rpartition(".")[0],
    )


def _file_of(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    if loaded is not None and getattr(loaded, "__file__", None):
        return Path(str(loaded.__file__))
    for folder in sys.path:
        base = Path(folder or ".").joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Give the names that a statement at the top of a module binds; a star binds none that is known."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            for target in targets:
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Import(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names if alias.name != "*")


def _targets(
    statement: ast.stmt, name: str, module: str, source: Source, found: Reached
) -> Iterator[tuple[str, str]]:
    """Give the parts of users' modules that a statement reaches; add what else it reaches to `found`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in source.bindings:
            yield module, node.id
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if node is not statement or (alias.asname or alias.name.partition(".")[0]) == name:
                    yield from _imported(alias.name, None, source, found)
        elif isinstance(node, ast.ImportFrom):
            above = source.package.split(".")[: len(source.package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *([node.module] if node.module else [])])
            for alias in node.names:
                if node is not statement or alias.name == "*" or (alias.asname or alias.name) == name:
                    yield from _imported(base, alias.name, source, found)


def _imported(module: str, name: str | None, source: Source, found: Reached) -> Iterator[tuple[str, str]]:
    top = module.partition(".")[0]
    if top in FIRST_PARTY:
        for each in (module, f"{module}.{name}"):
            found.digests |= code_digests(each)
    elif _is_beside(module, source.root) or (name and _is_beside(f"{module}.{name}", source.root)):
        if name and _is_beside(f"{module}.{name}", source.root):
            module, name = f"{module}.{name}", None
        read = _source(module)
        names = [name] if name and name != "*" else [*(read.bindings if read else ())]
        yield from ((module, each) for each in names)
    elif top not in sys.stdlib_module_names:
        found.libraries.add(distribution_of(top))


def _is_beside(module: str, root: Path) -> bool:
    base = root.joinpath(*module.split("."))
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()


@cache
def distribution_of(package: str) -> str:
    """Give the distribution that an importable package belongs to; WrongInput where none is installed."""
    for name in (package, package.replace("_", "-")):
        try:
            return str(metadata.metadata(name)["Name"]).lower()
        except metadata.PackageNotFoundError:
            continue
    found = metadata.packages_distributions().get(package)
    if not found:
        raise WrongInput(f"the library {package} is not installed here, and the model needs it")
    return sorted(found)[0].lower()


def _digest(statements: Iterable[ast.stmt]) -> str:
    return hashlib.sha256("\n".join(map(ast.dump, statements)).encode()).hexdigest()


def _without_annotations(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return statement
