"""The code's part of a key: the syntax trees of a module and of all first-party modules that it imports.

Comments, blank lines and docstrings do not count, imports inside functions do; what stands under
`if TYPE_CHECKING:` never runs and does not count. Nothing is imported to find this out.
"""

from __future__ import annotations

import ast
import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).resolve().parents[2]  # the folder of the top-level packages
FIRST_PARTY = ("flows", "settings", "tasks")

_parsing = threading.Lock()  # ast.parse of CPython 3.11 fails at times when two threads call it at once


@dataclass(frozen=True)
class Examined:
    """What is known of one module: the digest of its syntax tree, and the names that it imports."""

    digest: str
    imports: tuple[str, ...]
    stamp: tuple[int, ...]  # changes with every change of the file


def code_digests(module: str) -> dict[str, str]:
    """Give the digest of each module in the closure of `module`, by dotted name."""
    digests: dict[str, str] = {}
    waiting = [module]
    with _parsing:
        while waiting:
            name = waiting.pop()
            if name not in digests and (found := _examine(name)) is not None:
                digests[name] = found.digest
                waiting += [*found.imports, *parents(name)]
    return digests


def edited(digests: Mapping[str, str]) -> list[str]:
    """Give the modules whose files say something else by now than when these digests were made of them."""
    with _parsing:
        return [name for name, digest in digests.items() if _digest_now(name) != digest]


def _digest_now(name: str) -> str | None:
    known, path = _examine(name), module_file(name)
    if known is not None and path is not None and _stamp(path) == known.stamp:
        return known.digest
    try:
        again = _read(name)
    except (OSError, SyntaxError, ValueError):  # in the middle of an edit
        return None
    return again.digest if again is not None else None


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


@cache
def _examine(name: str) -> Examined | None:
    """Read a first-party module, once per process; None for any other name."""
    return _read(name)


def _read(name: str) -> Examined | None:
    path = module_file(name)
    if path is None:
        return None
    stamp = _stamp(path)
    tree = parsed(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = imported_modules(tree, package)
    digest = hashlib.sha256(ast.dump(what_runs(tree)).encode()).hexdigest()
    return Examined(digest, tuple(imports), stamp)


def parsed(path: Path) -> ast.Module:
    """Give the syntax tree of a file."""
    return ast.parse(path.read_bytes(), filename=str(path))


def module_file(name: str) -> Path | None:
    """Give the source file of a first-party module; None for any other name."""
    if name.partition(".")[0] not in FIRST_PARTY:
        return None
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def parents(name: str) -> list[str]:
    """Give the packages above a module: their code runs when it is imported."""
    names = name.split(".")
    return [".".join(names[:length]) for length in range(1, len(names))]


def imported_modules(tree: ast.AST, package: str) -> list[str]:
    """Give the dotted names that a tree imports and that may be modules, absolute and relative."""
    names: list[str] = []
    for node in running_nodes(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names.append(base)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Give a tree's nodes but expressions, which hold no import, and what only a type checker reads."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if is_for_type_checker(node):
            waiting += node.orelse
        else:
            waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]


def is_for_type_checker(node: ast.AST) -> TypeGuard[ast.If]:
    """Tell whether a node is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def what_runs(tree: ast.Module) -> ast.Module:
    """Take the docstrings, and what only a type checker reads, out of a tree, in place.

    What stands below an attribute or a constant to describe it is a docstring too. A body may be left empty:
    the tree is for reading, not for running.
    """
    for node in running_nodes(tree):
        if is_for_type_checker(node):
            node.body = []
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, field, None), list):
                setattr(node, field, [each for each in statements if not is_docstring(each)])
    return tree


def is_docstring(node: ast.AST) -> bool:
    """Tell whether a statement is a string alone, which does nothing wherever it stands."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
