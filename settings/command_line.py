"""The arguments of a delivery: one option per hyperparameter, and how far the run goes.

Built from the models' fields, without Prefect, TensorFlow or numpy, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from settings.allowed import allowed, default_text, is_list
from settings.delivery import Parameters
from settings.given import Given, suggestion
from settings.places import VARIABLES, Places, place_hint
from settings.variables import LEGACY, variable

Until = Literal["exported", "staged", "judged", "promoted"]

COLUMNS = 98
HELP_COLUMN = 40
RUN_OPTIONS = ("help", "model", "config", "until", "force", "why")
ORIGIN = "command line"
BUILT_IN = "the built-in classifier and concept, on MNIST"
EXIT_CODES = {
    0: "done",
    1: "a gate failed, or an operator's decision stands in the way; production is as it was",
    2: "wrong input",
    3: "the surroundings: network, disk, port, cluster",
    130: "interrupted, by Ctrl-C or SIGTERM; the next run goes on from what was done",
}


@dataclass(frozen=True)
class CommandLine:
    """What the arguments say: the hyperparameters given, the file of --config, and the options of the run."""

    given: tuple[Given, ...]
    config: str | None
    until: Until
    force: bool
    why: str = ""


def read_arguments(
    arguments: Sequence[str], program: str, parameters: Parameters, problems: list[str]
) -> CommandLine:
    """What the arguments say; a line per problem is added. `--help` prints and raises SystemExit(0)."""
    parser = build_parser(program, parameters)
    try:
        known, unknown = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        problems.append(f"{ORIGIN}: {_complaint(error, parameters)}")
        return CommandLine((), None, "promoted", False)
    problems.extend(_refuse_unknown(unknown, parameters))
    values = vars(known)
    if values["until"] not in get_args(Until):
        choices = ", ".join(get_args(Until))
        problems.append(f"{ORIGIN}: --until is {values['until']!r}, not one of {choices}")
    given = tuple(
        Given(name, values[name], f"{ORIGIN}: --{name}") for name in parameters.fields if name in values
    )
    return CommandLine(given, values["config"], cast(Until, values["until"]), values["force"], values["why"])


def build_parser(program: str, parameters: Parameters) -> argparse.ArgumentParser:
    """The parser: the options of the run, then a group of options per stage."""
    example = f"{parameters.model.classifier.name}.steps"
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} [options]",
        description=textwrap.fill(
            "Train, judge and promote a model. A value is taken from, each over the one before: the default, "
            f"deliver.toml, .env, the environment ({variable(example)}=2000), "
            f"the command line (--{example} 2000).",
            COLUMNS,
        ),
        epilog=_epilog(),
        formatter_class=partial(argparse.RawTextHelpFormatter, width=COLUMNS, max_help_position=HELP_COLUMN),
        allow_abbrev=False,
        exit_on_error=False,
        add_help=False,
    )
    run = parser.add_argument_group("the run")
    run.add_argument("-h", "--help", action="help", help="show this and stop")
    run.add_argument(
        "--model",
        metavar="MODULE",
        help=_wrapped(
            "the model to deliver: the file of a Python module that defines one, or the name of one that can "
            "be imported; what can be set follows from it",
            f"also MODEL in the environment or .env, and model in deliver.toml; default: {BUILT_IN}",
        ),
    )
    run.add_argument(
        "--config", metavar="FILE", help="a TOML file with hyperparameters, in place of deliver.toml"
    )
    run.add_argument(
        "--until",
        metavar="STEP",
        default="promoted",
        help=_wrapped(
            f"stop after this step: one of {', '.join(get_args(Until))}; judged stops before production",
            "default: promoted",
        ),
    )
    run.add_argument(
        "--force",
        action="store_true",
        help=_wrapped(
            "promote in spite of a failed gate, or of a rollback that took the version back; recorded in the "
            "history with the user's name"
        ),
    )
    run.add_argument(
        "--why", metavar="TEXT", default="", help="the reason of a promotion or of --force, for the history"
    )
    for stage, model in parameters.stages.items():
        about = textwrap.fill(inspect.getdoc(model) or "", COLUMNS - 2)
        group = parser.add_argument_group(stage, about)
        for name, field in model.model_fields.items():
            _add_option(group, f"{stage}.{name}", field)
    return parser


def _add_option(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    told = f"{allowed(field)}; default: {default_text(field)}"
    options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "metavar": _metavar(field)}
    if field.annotation is bool:
        stage, _, leaf = name.partition(".")
        negation = f"--{stage}.no-{leaf}"
        told += f"; {negation} says false"
        options |= {"nargs": "?", "const": "true"}
        group.add_argument(
            negation, dest=name, action="store_const", const="false", default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )  # fmt: skip
    group.add_argument(f"--{name}", help=_wrapped(field.description or "", told), **options)


def _wrapped(*paragraphs: str) -> str:
    """Help of an option, each paragraph on lines of its own, no name broken at a hyphen."""
    width = COLUMNS - HELP_COLUMN
    lines = [textwrap.fill(paragraph, width, break_on_hyphens=False) for paragraph in paragraphs]
    return "\n".join(lines).replace("%", "%%")


def _metavar(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if is_list(field):
        return "NAMES"
    if get_origin(kind) is Literal:
        return "CHOICE"
    return {bool: "BOOL", int: "N", float: "X"}.get(kind, "NAME")


def _refuse_unknown(tokens: Sequence[str], parameters: Parameters) -> list[str]:
    """A line for each token that the parser does not know; the value behind an unknown option is not one."""
    problems = []
    behind_unknown = False
    for token in tokens:
        if token.startswith("-"):
            option = token.partition("=")[0]
            name = option.lstrip("-").replace("-", "_")
            hint = place_hint(name) or suggestion(name, [*RUN_OPTIONS, *parameters.fields], "--{}".format)
            problems.append(f"{ORIGIN}: {option} is not known; {hint}")
        elif not behind_unknown:
            problems.append(f"{ORIGIN}: {token!r} belongs to no option; --help lists all")
        behind_unknown = token.startswith("-") and "=" not in token
    return problems


def _complaint(error: argparse.ArgumentError, parameters: Parameters) -> str:
    option = error.argument_name or ""
    field = parameters.fields.get(option.removeprefix("--"))
    return f"{option} {error.message}" + (f": {allowed(field)}" if field else "")


def _epilog() -> str:
    lines = []
    for name, place in VARIABLES.items():
        field = Places.model_fields[place]
        default = default_text(field)
        told = f"{field.description} [{allowed(field)}" + (f"; default: {default}]" if default else "]")
        indent = " " * 22
        lines.append(
            textwrap.fill(
                f"{name:<20}{told}",
                COLUMNS,
                initial_indent="  ",
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
        )
    places = "\n".join(lines)
    codes = "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES.items())
    both, folders = ", ".join(LEGACY), ", ".join(name for name in VARIABLES if "MNIST" in name)
    told = f"the source project's variables work as well: {both} (for all networks), {folders}"
    source = textwrap.fill(told, COLUMNS, break_on_hyphens=False)
    return f"places, from the environment or .env:\n{places}\n\nexit codes:\n{codes}\n\n{source}"
