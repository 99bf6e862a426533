"""The key of a step's result: equal inputs, settings, code and libraries give the same key.

Made without Prefect and TensorFlow, so that it is quick; kept by parts, so that it can be explained.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from tasks.store.artifacts import combined_digest
from tasks.store.code import code_digests

CODE = "code "


@dataclass(frozen=True)
class Key:
    """What decides a result, by part: each part's name says what it is, its value what it was."""

    parts: Mapping[str, str]

    @property
    def code(self) -> dict[str, str]:
        """The digest of each module that decides the result, by dotted name."""
        return {name.removeprefix(CODE): part for name, part in self.parts.items() if name.startswith(CODE)}

    @property
    def digest(self) -> str:
        """The key itself: SHA-256 over the parts, hexadecimal."""
        return combined_digest(dict(self.parts))


def make_key(
    *,
    modules: Iterable[str],
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    libraries: Iterable[str] = (),
    code: Mapping[str, str] | None = None,
) -> Key:
    """Give the key of a step.

    `modules` hold the step's pure functions; `inputs` are digests by name; `settings` are the values that the
    step uses, by dotted name, anything that JSON can hold; `libraries` are the distributions whose version
    decides the result; `code` are digests of single functions beside the modules (functions.py).
    """
    parts = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    parts |= {f"input {name}": digest for name, digest in inputs.items()}
    parts |= {f"setting {name}": json.dumps(value, sort_keys=True) for name, value in settings.items()}
    parts |= {f"library {name}": library_version(name) for name in libraries}
    for module in modules:
        parts |= {f"{CODE}{name}": digest for name, digest in code_digests(module).items()}
    parts |= {f"{CODE}{name}": digest for name, digest in (code or {}).items()}
    return Key(parts)


@cache
def library_version(distribution: str) -> str:
    """Give the installed version of a distribution."""
    return version(distribution)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say which parts of a key differ; values of settings and libraries are shown, digests are not."""
    told = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name.startswith(("setting ", "library ", "python")):
            told.append(
                f"{name}: {old if old is not None else 'none'} → {new if new is not None else 'none'}"
            )
        else:
            told.append(name)
    return told
