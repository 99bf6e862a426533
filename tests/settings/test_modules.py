"""The module that defines the model: where it is named, and what is said of one that cannot be taken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settings.delivery import Parameters
from settings.errors import WrongInput
from settings.modules import find_model
from settings.sources import resolve
from tasks.models.builtin import BUILT_IN

ROOT = Path(__file__).parents[2]

MODULE = '''\
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from settings.model import Description, Model, Network, Training


class NetSettings(Training):
    """What can be set of the net."""

    units: int = Field(16, ge=1, le=64, description="how many units")
    form: Literal["round", "square"] = Field("round", description="the form of the units")


class OtherSettings(Training):
    """What can be set of the other."""

    steps: Annotated[int, Field(ge=1, le=9, description="training steps")] = 3


def build(settings, data):
    import keras

    return keras.Sequential()


NET = Network("net", "classifier", NetSettings, build)
OTHER = Network("other", "autoencoder", OtherSettings, build)

model = Model("NAME", (NET, OTHER), defaults={"data.limit": 1_000, "net.units": 32})
'''

Find = Callable[..., Any]


@pytest.fixture
def find(tmp_path: Path) -> Iterator[Find]:
    """A function that writes files, each a text by its name, and gives the name of the model found there."""
    before, loaded = list(sys.path), set(sys.modules)

    def found(*arguments: str, environ: dict[str, str] | None = None, **files: str) -> Any:
        for name, text in files.items():
            path = tmp_path / {"toml": "deliver.toml", "dotenv": ".env"}.get(name, f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return find_model(arguments, environ=environ or {}, folder=tmp_path, default=BUILT_IN)

    yield found
    sys.path[:] = before
    for name in set(sys.modules) - loaded:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def named(name: str) -> str:
    """Give the text of a module whose model has a name."""
    return MODULE.replace("NAME", name)


ALL = {f"module_{name}": named(name) for name in ("a", "b", "c", "d", "e")}


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        ({}, "mnist"),
        ({"toml": 'model = "module_a.py"\n[data]\nlimit = 5'}, "a"),
        ({"toml": 'model = "module_a.py"', "dotenv": "MODEL=module_b.py"}, "b"),
        ({"dotenv": "MODEL=module_b.py", "environ": {"MODEL": "module_c.py"}}, "c"),
        ({"environ": {"MODEL": "module_c.py"}, "arguments": ["--model", "module_d.py"]}, "d"),
        ({"toml": 'model = "module_a.py"', "arguments": ["--model=module_d"]}, "d"),
        ({"toml": 'model = "module_a.py"', "arguments": ["--config", "module_e.toml"]}, "e"),
        ({"toml": 'model = "module_a.py"', "arguments": ["--help", "--nothing", "--until"]}, "a"),
    ],
)
def test_each_source_is_over_the_one_before(find: Find, tmp_path: Path, sources: Any, name: str) -> None:
    """deliver.toml or --config, .env, environment, command line; without any it is the built-in model."""
    (tmp_path / "module_e.toml").write_text('model = "module_e.py"\n')
    assert find(*sources.pop("arguments", ()), **ALL, **sources).name == name


@pytest.mark.parametrize("form", ["module_a.py", "./module_a.py", "module_a", "package.inner", "ABSOLUTE"])
def test_a_module_is_a_file_or_a_name(find: Find, tmp_path: Path, form: str) -> None:
    """A file from the working directory or anywhere, or what can be imported; its file is known."""
    text = named("a").replace("Model(", "Model(\n    ")
    given = str(tmp_path / "module_a.py") if form == "ABSOLUTE" else form
    found = find("--model", given, **{"module_a": text, "package/__init__": "", "package/inner": text})
    assert found.name == "a"
    assert found.source == tmp_path / ("package/inner.py" if form == "package.inner" else "module_a.py")


def test_what_is_beside_the_module_can_be_imported(find: Find) -> None:
    """Also where the module is not in the working directory."""
    text = "from module_beside import UNITS\n" + named("a").replace("Field(16,", "Field(UNITS,")
    text = text.replace("from __future__ import annotations\n", "")
    found = find(
        "--model", "inner/module_a.py", **{"inner/module_a": text, "inner/module_beside": "UNITS = 8\n"}
    )
    assert found.classifier.settings().units == 8


def edited(old: str, new: str) -> str:
    """Give the module with one thing changed."""
    assert old in MODULE
    return named("wrong").replace(old, new)


def network(name: str) -> str:
    """Give the module whose net has another name."""
    return edited('"net", "classifier"', f'"{name}", "classifier"').replace('"net.units"', f'"{name}.units"')


def field(text: str) -> str:
    """Give the module with another setting."""
    return edited("    units: int", f"    {text}\n    units: int")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model = (\n", "is not Python, line 1: '(' was never closed"),
        ("x = '\0'\n", "is not Python, "),
        ("import tensorflow as tf\n", "line 1 imports tensorflow at its top: do so inside of the functions"),
        ("\nfrom keras.layers import Dense\n", "line 2 imports keras.layers at its top: do so inside"),
        ("", "defines no `model`: it needs a settings.model.Model of that name"),
        ("model = 3\n", "its `model` is a int: it needs a settings.model.Model of that name"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", "it needs the module no_such_thing, which is not installed here"),
        ("import sys\nsys.exit('done')\n", "it ends the process (SystemExit: done) where it is to be read"),
        (edited("NET, OTHER)", "NET, NET)"), "two networks are called 'net'"),
        (
            edited("autoencoder", "classifier"),
            "the model wrong has 2 classifiers, not one",
        ),
        (edited("(NET, OTHER)", "(OTHER,)"), "the model wrong has 0 classifiers, not one"),
        (
            edited("NET, OTHER)", 'NET, OTHER, Network("third", "autoencoder", OtherSettings, build))'),
            "the model wrong has 2 networks that score, at most one can be",
        ),
        (edited("autoencoder", "score"), "the network other scores, and has no loss: give one"),
        (
            edited("autoencoder", "encoder"),
            "the network other is a 'encoder': its role is one of classifier, autoencoder, score",
        ),
        *(
            (network(name), f"no network can be called '{name}': that is a stage")
            for name in ("data", "judging")
        ),
        *(
            (network(name), f"no network can be called '{name}': that is a stage")
            for name in ("serving", "reporting")
        ),
        (network("training"), "no network can be called 'training': that is a stage"),
        *(
            (network(name), f"no network can be called '{name}': that is an option of a delivery")
            for name in ("until", "force", "why", "model", "config", "help")
        ),
        (network("release"), "no network can be called 'release': that is something else in the store"),
        *(
            (network(name), f"no network can be called '{name}': that is something else in a release")
            for name in ("threshold", "infer", "variables", "name")
        ),
        *(
            (
                network(name),
                f"the network {name!r}: a name is of small letters and digits, with single _ between",
            )
            for name in ("Net", "my-net", "my__net", "_net", "net_", "9net", "größe", "lambda")
        ),
        (
            edited("OtherSettings, build", "BaseModel, build"),
            "the settings of other are no class that derives from settings.model.Training",
        ),
        (field("deep: int"), "the setting net.deep has no default: give it one"),
        (field("deep: int = Field(3, ge=1, le=9)"), "the setting net.deep has no description: give it one"),
        (
            field('deep: int = Field(3, description="d")'),
            "the setting net.deep has no bounds: give it a lowest",
        ),
        (field('deep: int = Field(3, ge=1, description="d")'), "the setting net.deep has no bounds"),
        (field('deep: float = Field(3, le=1, description="d")'), "the setting net.deep has no bounds"),
        (
            field('deep: float = Field(3, ge=0, le=1, description="d")'),
            "the default of the setting net.deep is 3: Input should be less than or equal to 1",
        ),
        (
            field('deep: dict[str, int] = Field({}, description="d")'),
            "the setting net.deep is a dict: a setting is a bool, int, float, str, Literal of texts",
        ),
        (
            field('deep: tuple[int, ...] = Field((1,), description="d")'),
            "the setting net.deep is a tuple: a setting",
        ),
        (
            field('deep: Literal[1, 2] = Field(1, description="d")'),
            "the setting net.deep is a Literal: a setting",
        ),
        (
            field('dropOut: str = Field("a", description="d")'),
            "the setting net.dropOut: a name is of small letters",
        ),
    ],
)
def test_a_wrong_module_is_one_clear_line(find: Find, text: str, line: str) -> None:
    """It names the source that named the module, and what is wrong there."""
    with pytest.raises(WrongInput) as raised:
        find("--model", "module_x.py", module_x=text)
    assert raised.value.exit_code == 2
    (said,) = str(raised.value).splitlines()
    assert said.startswith(f"command line: --model is 'module_x.py': {line}")


@pytest.mark.parametrize(
    ("sources", "line"),
    [
        ({"arguments": ["--model", "none.py"]}, "command line: --model is 'none.py': there is no such file"),
        ({"arguments": ["--model", "."]}, "command line: --model is '.': there is no module of that name"),
        ({"arguments": ["--model", "./"]}, "command line: --model is './': there is no such file"),
        (
            {"environ": {"MODEL": ""}},
            "environment: MODEL is '', not the file of a module, or the name of one",
        ),
        ({"dotenv": "MODEL=no.such"}, ".env: MODEL is 'no.such': there is no module of that name; a file is"),
        ({"toml": "model = 3"}, "deliver.toml: model is 3, not the file of a module, or the name of one"),
        (
            {"arguments": ["--model", "~nobody-at-all/x.py"]},
            "command line: --model is '~nobody-at-all/x.py': Could",
        ),
        ({"arguments": ["--model", "x" * 5_000 + ".py"]}, "command line: --model is 'xxxxxxxxxx"),
        (
            {"arguments": ["--model", "two.dots.py"], "two.dots": ""},
            "command line: --model is 'two.dots.py': the name",
        ),
        (
            {"arguments": ["--model", "json.py"], "json": ""},
            "command line: --model is 'json.py': there is another",
        ),
        (
            {"arguments": ["--model", "settings.py"], "settings": MODULE},
            "command line: --model is 'settings.py': there is another module 'settings'",
        ),
        (
            {"arguments": ["--model", "package.x"], "package/__init__": "1 / 0", "package/x": MODULE},
            "command line: --model is 'package.x': ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_name_that_leads_to_no_module(find: Find, sources: Any, line: str) -> None:
    """One line with the source and the name."""
    with pytest.raises(WrongInput) as raised:
        find(*sources.pop("arguments", ()), **sources)
    (said,) = str(raised.value).splitlines()
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("defaults", "line"),
    [
        ('{"nothing.limit": 3}', "defaults of the model wrong name nothing: there is no such stage"),
        ('{"limit": 3}', "defaults of the model wrong name limit: there is no such stage"),
        (
            '{"data.limits": 3}',
            "defaults of the model wrong: data.limits is 3: Extra inputs are not permitted",
        ),
        (
            '{"net.units": 65}',
            "defaults of the model wrong: net.units is 65: Input should be less than or equal to 64",
        ),
        (
            '{"serving.name": "A b"}',
            "defaults of the model wrong: serving.name is 'A b': String should match",
        ),
    ],
)
def test_wrong_defaults_of_a_model(find: Find, defaults: str, line: str) -> None:
    """They are held to what any other source is."""
    text = edited('{"data.limit": 1_000, "net.units": 32}', defaults)
    model = find("--model", "module_x.py", module_x=text)
    with pytest.raises(WrongInput) as raised:
        _ = Parameters(model).stages
    assert str(raised.value).startswith(line)


def test_the_defaults_of_a_model_are_below_every_other_source(find: Find, tmp_path: Path) -> None:
    """They are the defaults that --help and the reference tell, and give way to deliver.toml."""
    model = find("--model", "module_a.py", module_a=named("a"))
    parameters = Parameters(model)
    assert parameters.fields["net.units"].default == 32
    assert list(parameters.stages) == ["data", "net", "other", "judging", "serving"]

    def units(**environ: str) -> Any:
        delivery = resolve(["--model", "module_a.py"], parameters, environ=environ, folder=tmp_path).delivery
        assert (delivery.data.limit, delivery.serving.name) == (1_000, "a")
        return delivery.stages["net"].model_dump()["units"]

    assert units() == 32
    (tmp_path / "deliver.toml").write_text('model = "module_a.py"\n[net]\nunits = 48\n')
    assert units() == 48
    assert units(NET__UNITS="50") == 50
    assert model.classifier.settings().units == 16  # the class itself is as it was


def deliver(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    environ = {name: value for name, value in os.environ.items() if name not in ("MODEL", "MODELS_ROOT")}
    command = [sys.executable, str(ROOT / "flows" / "deliver.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def test_help_tells_what_can_be_set_of_the_model(tmp_path: Path) -> None:
    """The settings of its networks, with its defaults, and of no other model's; without a slow import."""
    (tmp_path / "module_a.py").write_text(named("a") + "\nimport sys\nprint('keras' in sys.modules)\n")
    done = deliver(tmp_path, "--model", "module_a.py", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    first, text = done.stdout.split("\n", 1)
    assert first == "False"
    told = " ".join(text.split())
    assert "--net.units N how many units a whole number from 1 to 64; default: 32" in told
    assert "--net.form CHOICE the form of the units one of round, square; default: round" in told
    assert "--other.steps N training steps a whole number from 1 to 9; default: 3" in told
    assert "--data.limit N" in told
    assert "default: 1000" in told
    assert "--serving.name NAME" in told
    assert "What can be set of the net." in told
    assert "--concept." not in told
    assert "--classifier." not in told


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model = (\n", "is not Python, line 1: '(' was never closed"),
        (network("data"), "no network can be called 'data': that is a stage"),
        (
            "import module_beside\n" + named("a").replace("from __future__ import annotations\n", ""),
            "keras and tensorflow is imported where it is read, by what it imports at its top: do so inside",
        ),
        (
            edited("import keras\n", "import no_such_library\n"),
            "the library no_such_library is not installed here, and the model needs it",
        ),
        (
            edited("NetSettings, build)", "NetSettings, lambda s, d: 1)"),
            "<lambda> is no function at the top of a",
        ),
    ],
)
def test_a_wrong_module_ends_a_delivery_before_it_begins(tmp_path: Path, text: str, line: str) -> None:
    """Exit code 2, one line on stderr, no server is started, and nothing is fetched or written."""
    (tmp_path / "module_x.py").write_text(text)
    (tmp_path / "module_beside.py").write_text("import keras\n")
    before = {path.name for path in tmp_path.iterdir()}
    done = deliver(tmp_path, "--model", "module_x.py")
    assert (done.returncode, done.stdout) == (2, "")
    said = [each for each in done.stderr.splitlines() if each.startswith("slipway: ")]
    assert len(said) == 1
    assert line in said[0]
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} - before <= {"__pycache__"}
