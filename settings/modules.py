"""The module that defines the model: which one is wanted, and its `model`.

It is found in the sources of all settings before it is known what can be set, since that follows from it.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import sys
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from settings.config_file import CONFIG_FILE, MODEL_KEY
from settings.errors import SlipwayError, WrongInput
from settings.given import Given, shortened
from settings.model import Model
from settings.variables import VARIABLES_FILE, read_dotenv

VARIABLE = "MODEL"
ATTRIBUTE = "model"
SLOW = ("tensorflow", "keras", "prefect", "torch", "jax")
"""What a module imports inside of its functions alone: --help and plans read it without them."""


def wanted_module(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> Given | None:
    """The module that is wanted, with its origin; None where no source names one.

    The command line is over the environment, that over .env, that over deliver.toml or the file of --config.
    Whatever else is wrong in the sources is not told here.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--model")
    parser.add_argument("--config", default=CONFIG_FILE)
    try:
        known, _ = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError:  # it is told by the parser of everything
        return None
    if known.model is not None:
        return Given(MODEL_KEY, known.model, "command line: --model")
    for variables, label in ((environ, "environment"), (read_dotenv(folder, []), VARIABLES_FILE)):
        if VARIABLE in variables:
            return Given(MODEL_KEY, variables[VARIABLE], f"{label}: {VARIABLE}")
    try:
        content = tomllib.loads((folder / Path(known.config).expanduser()).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return None
    return (
        Given(MODEL_KEY, content[MODEL_KEY], f"{known.config}: {MODEL_KEY}") if MODEL_KEY in content else None
    )


def find_model(
    arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path, default: Model
) -> Model:
    """The model of the module that the sources name, else the default; WrongInput says what is wrong."""
    wanted = wanted_module(arguments, environ, folder)
    if wanted is None:
        return default
    said = f"{wanted.origin} is {shortened(wanted.value)}"
    if not isinstance(wanted.value, str) or not wanted.value.strip():
        raise WrongInput(f"{said}, not the file of a module, or the name of one")
    return load_model(wanted.value, folder, said)


def load_model(name: str, folder: Path, said: str) -> Model:
    """The `model` that a module defines: a file, relative to `folder`, or a name that can be imported.

    `said` begins an error. Raises WrongInput for whatever keeps the module from giving one.
    """
    if name.endswith(".py") or "/" in name:
        try:
            path = folder / Path(name).expanduser()
            there = path.is_file()
        except (OSError, RuntimeError) as error:  # too long, closed to this user; ~name of nobody
            raise WrongInput(f"{said}: {getattr(error, 'strerror', None) or error}") from error
        if not there:
            raise WrongInput(f"{said}: there is no such file")
    else:
        found = _spec_of(name, folder, said)
        path = Path(str(found.origin))
    _check_imports(path, said)
    module = _run(path, name, said)
    model = getattr(module, ATTRIBUTE, None)
    if not isinstance(model, Model):
        what = "defines no `model`" if model is None else f"its `model` is a {type(model).__name__}"
        raise WrongInput(f"{said}: {what}: it needs a settings.model.Model of that name")
    return replace(model, source=path.resolve())


def _spec_of(name: str, folder: Path, said: str) -> importlib.machinery.ModuleSpec:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    except Exception as error:  # of a package above it, which runs
        raise WrongInput(f"{said}: {type(error).__name__}: {error}") from error
    if found is None or not str(found.origin).endswith(".py"):
        raise WrongInput(f"{said}: there is no module of that name; a file is named with its .py")
    return found


def _check_imports(path: Path, said: str) -> None:
    """Refuse a module that is no Python, or that imports at its top what is slow to import."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise WrongInput(f"{said}: cannot be read ({error.strerror})") from error
    except (SyntaxError, ValueError) as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise WrongInput(f"{said}: is not Python, {where}") from error
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.partition(".")[0] in SLOW:
                raise WrongInput(
                    f"{said}: line {node.lineno} imports {name} at its top: do so inside of the functions "
                    "that need it, for --help and the plan read the module without"
                )


def _run(path: Path, name: str, said: str) -> ModuleType:
    """Import the module, with what is beside it within its reach."""
    stem = path.stem
    beside = str(path.resolve().parent)
    module_name = name
    if name.endswith(".py") or "/" in name:
        module_name = stem
        if "." in stem:
            raise WrongInput(f"{said}: the name of a module has no dot: rename the file")
        if (other := _other_module(stem, path)) is not None:
            raise WrongInput(f"{said}: there is another module {stem!r} ({other}): rename the file")
    if beside not in sys.path:
        sys.path.insert(0, beside)
    before = set(sys.modules)
    try:
        module = importlib.import_module(module_name)
    except SlipwayError as error:
        raise WrongInput(f"{said}: {error}") from error
    except ModuleNotFoundError as error:
        raise WrongInput(f"{said}: it needs the module {error.name}, which is not installed here") from error
    except Exception as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
        ]
        where = f"line {lines[-1]}: " if lines else ""
        raise WrongInput(f"{said}: {where}{type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise WrongInput(
            f"{said}: it ends the process (SystemExit: {error}) where it is to be read"
        ) from error
    if brought := sorted({*SLOW} & sys.modules.keys() - before):
        raise WrongInput(
            f"{said}: {' and '.join(brought)} is imported where it is read, by what it imports at its top: "
            "do so inside of the functions that need it, for --help and the plan read the module without"
        )
    return module


def _other_module(stem: str, path: Path) -> str | None:
    """Give where a module of that name is that is another file, if there is one."""
    loaded = sys.modules.get(stem)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None) or "built in"
    else:
        other = importlib.util.find_spec(stem)
        if other is None:
            return None
        origin = other.origin or "a folder of that name"
    there = Path(origin)
    return None if there.is_file() and there.samefile(path) else origin
