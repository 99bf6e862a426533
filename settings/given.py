"""A value as a source gave it, with its origin, and how values become a checked model."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from settings.allowed import allowed, from_text, from_toml
from settings.errors import WrongInput

Model = TypeVar("Model", bound=BaseModel)

LONGEST_VALUE = 80


@dataclass(frozen=True)
class Given:
    """A value that is not a default: for which setting, and where it came from.

    `origin` is what the user reads: `environment: CLASSIFIER__STEPS`. `typed` is true for a value of TOML and
    false for the text of a variable or an argument.
    """

    name: str
    value: object
    origin: str
    typed: bool = False


def validated(
    model: type[Model],
    given: Mapping[str, Given],
    problems: list[str],
    *,
    context: Mapping[str, object] | None = None,
) -> Model | None:
    """The model built from the values given for its fields; else None, and a line per problem is added."""
    values: dict[str, object] = {}
    before = len(problems)
    for name, one in given.items():
        field = model.model_fields[name]
        try:
            values[name] = from_toml(field, one.value) if one.typed else from_text(field, str(one.value))
        except (ValueError, OverflowError, RecursionError):
            problems.append(_refusal(model, name, one))
    try:
        built = model.model_validate(values, context=dict(context or {}))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            if name not in given:
                # A rule over several fields, or a default that follows from a field that is wrong itself.
                if detail["type"] != "default_factory_not_called":
                    problems.append(f"{name}: {_reason(detail)}" if name else _reason(detail))
            elif detail["type"] == "value_error":
                problems.append(f"{_said(given[name])}: {_reason(detail)}")
            else:
                problems.append(_refusal(model, name, given[name]))
        return None
    return built if len(problems) == before else None


def suggestion(
    name: str, known: Iterable[str], written: Callable[[str], str] = str, otherwise: str = "--help lists all"
) -> str:
    """The known name that is nearest to an unknown one, as a question to put behind the error.

    Names are dotted; `written` gives them the form that the source uses. A name that is right but for its
    stage is answered with every stage that has it.
    """
    names = list(known)
    if name in names:
        return f"did you mean {written(name)}?"
    leaf = name.rpartition(".")[2]
    same = [one for one in names if one.rpartition(".")[2] == leaf]
    near = same or difflib.get_close_matches(name, names, n=1)
    return f"did you mean {' or '.join(written(one) for one in near)}?" if near else otherwise


def shortened(value: object) -> str:
    """A value as an error shows it: on one line that is not too long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def refuse(problems: Iterable[str]) -> NoReturn:
    """Raise what was found as one WrongInput, a line per problem, each line once."""
    lines = dict.fromkeys(problem.replace("\n", "\\n") for problem in problems)
    raise WrongInput("\n".join(lines))


def _refusal(model: type[BaseModel], name: str, given: Given) -> str:
    return f"{_said(given)}, not {allowed(model.model_fields[name])}"


def _said(given: Given) -> str:
    return f"{given.origin} is {shortened(given.value)}"


def _reason(detail: Mapping[str, Any]) -> str:
    return str(detail["msg"]).removeprefix("Value error, ")
