"""What a setting may be: in words, for help and errors, and as a check of a value that a source gave.

A value from a variable or the command line is text; one from TOML has a type already.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

A_FILE = "a file"  # as metadata of a path that is no folder


def allowed(field: FieldInfo) -> str:
    """What a value of the field has to be, in words: `a whole number from 1 to 8,192`."""
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if is_list(field):
        if pattern := _pattern(get_args(get_args(kind)[0])):
            return f"values of the form {pattern} with commas between, or [] for none"
        return "names with commas between, or [] for none"
    if kind is bool:
        return "true or false"
    if kind is int:
        return "a whole number" + _bounds(field)
    if kind is float:
        bounded = any(isinstance(rule, (Le, Lt)) for rule in field.metadata)
        return ("a number" if bounded else "a finite number") + _bounds(field)
    if field.annotation is Path or Path in get_args(field.annotation):
        return A_FILE if A_FILE in field.metadata else "a folder"
    pattern = _pattern(field.metadata)
    return f"text of the form {pattern}" if pattern else "a name"


def default_text(field: FieldInfo) -> str:
    """The default as it would be written on the command line; empty where it follows from other settings."""
    if field.default is None or field.default is PydanticUndefined:
        return ""
    if field.default is True or field.default is False:
        return str(field.default).lower()
    if is_list(field):
        return ",".join(field.default)
    return str(field.default).removesuffix(".0")


def is_list(field: FieldInfo) -> bool:
    """Whether the field takes a sequence of names."""
    return get_origin(field.annotation) is tuple


def from_text(field: FieldInfo, text: str) -> object:
    """The text of a variable or an argument in the form in which pydantic reads it.

    Raises ValueError for what pydantic would let pass: empty text, an empty name in a list, nan and inf.
    """
    if not text.strip():
        raise ValueError("empty")
    if not is_list(field):
        return _finite(field, text)
    is_json = text.lstrip().startswith("[")
    names = json.loads(text) if is_json else [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError("an empty name")
    return names


def from_toml(field: FieldInfo, value: object) -> object:
    """A value of a TOML file, which must have the field's own type.

    Raises ValueError where pydantic would convert in silence: "3" or true for a number, 1 for true.
    """
    if field.annotation is bool:
        right = isinstance(value, bool)
    elif field.annotation in (int, float):
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif is_list(field):
        right = isinstance(value, list) and all(value)
    else:
        right = isinstance(value, str) and bool(value.strip())
    if not right:
        raise ValueError("another type")
    return _finite(field, value)


def _finite(field: FieldInfo, value: Any) -> object:
    if field.annotation is float and not math.isfinite(float(value)):
        raise ValueError("not finite")
    return value


def _pattern(rules: Iterable[Any]) -> str | None:
    """Give the pattern among the rules of a text."""
    inner = [rule for each in rules for rule in (each.metadata if isinstance(each, FieldInfo) else [each])]
    return next((rule.pattern for rule in inner if getattr(rule, "pattern", None)), None)


def _bounds(field: FieldInfo) -> str:
    lower = upper = ""
    for rule in field.metadata:
        match rule:
            case Ge(ge=bound):
                lower = f"of at least {bound:,}"
            case Gt(gt=bound):
                lower = f"above {bound:,}"
            case Le(le=bound):
                upper = f"at most {bound:,}"
            case Lt(lt=bound):
                upper = f"below {bound:,}"
    if lower.startswith("of at least") and upper.startswith("at most"):
        return f" from {lower.removeprefix('of at least ')} to {upper.removeprefix('at most ')}"
    return "".join(f" {bound}" for bound in (lower, "and" if lower and upper else "", upper) if bound)
