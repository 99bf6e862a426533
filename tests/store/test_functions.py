"""The code of single functions in the keys of a user's networks: which edit trains which of them anew."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settings.errors import WrongInput
from settings.hyperparameters import DataSettings
from settings.model import Description, Model
from settings.modules import load_model
from tasks import steps
from tasks.store import functions, keys
from tasks.store.artifacts import Artifact
from tasks.store.functions import distribution_of, edited, reach

MODULE = '''\
"""A model of two networks."""

from __future__ import annotations

import json

from pydantic import Field

from mine_beside import first_block, scored_by
from settings.model import Description, Model, Network, Training

SCALE = 2
UNUSED = 3


class FirstSettings(Training):
    """What can be set of the first."""

    units: int = Field(16, ge=1, le=64, description="how many units")

    @property
    def doubled(self) -> int:
        return 2 * self.units


class SecondSettings(Training):
    """What can be set of the second."""

    def halved(self) -> int:
        return self.steps // 2


def first(settings: FirstSettings, data: Description) -> object:
    """Build the first."""
    import keras

    return keras.Sequential([first_block(settings.doubled, SCALE)])


def second(settings: SecondSettings, data: Description) -> object:
    # what it is good for
    return json.dumps(settings.halved())


def loss(output: object, rows: object, labels: object) -> float:
    return 0.25


def nobody_calls_this(value: int) -> int:
    return value


model = Model(
    "mine",
    (
        Network("first", "classifier", FirstSettings, first),
        Network("second", "autoencoder", SecondSettings, second, loss=loss, score=scored_by),
    ),
    defaults={"data.limit": 1_000},
)
'''

BESIDE = '''\
"""What is beside the model."""

FACTOR = 5


def first_block(units, scale):
    return deeper(units) * scale


def deeper(units):
    return units * FACTOR


def scored_by(rows, output):
    return 0.5


def not_reached(units):
    return units
'''

NONE: set[str] = set()
FIRST, SECOND = {"first"}, {"second"}

DESCRIPTION = Description(shape=(28, 28), classes=tuple("0123456789"))
DATASET = Artifact(kind="dataset/mnist", path="x", digest="x")

Load = Callable[..., Model]


def forget() -> None:
    """Forget the modules of the tests, and what is known of their files, as a new process does."""
    for name in [each for each in sys.modules if each.partition(".")[0].startswith("mine")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    functions._source.cache_clear()
    steps.code_of.cache_clear()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """A function that writes modules into a folder, and loads the model of mine.py there."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = list(sys.path)

    def loaded(folder: str = "here", **modules: str) -> Model:
        sys.path[:] = before
        forget()
        for name, text in ({"mine": MODULE, "mine_beside": BESIDE} | modules).items():
            path = tmp_path / folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return load_model("mine.py", tmp_path / folder, "the test")

    yield loaded
    sys.path[:] = before
    forget()


def keys_of(model: Model, **given: Any) -> dict[str, keys.Key]:
    """Give the key of each network of a model, with settings that are given to both."""
    return {
        network.name: steps.network_key(
            network, network.settings(**given), DATASET, DESCRIPTION, DataSettings(held_out=100)
        )
        for network in model.networks
    }


def changed(before: dict[str, keys.Key], after: dict[str, keys.Key]) -> set[str]:
    """Give the networks whose keys differ."""
    return {name for name in before if before[name].digest != after[name].digest}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("SCALE)])", "SCALE + 1)])", FIRST),
        ("json.dumps(settings.halved())", "json.dumps([settings.halved()])", SECOND),
        ("return 0.25", "return 0.75", SECOND),
        ("SCALE = 2", "SCALE = 4", FIRST),
        ("return 2 * self.units", "return 3 * self.units", FIRST),
        ("return self.steps // 2", "return self.steps // 3", SECOND),
        ("first(settings: FirstSettings, data: Description)", "first(settings, data, rate=1)", FIRST),
        ("UNUSED = 3", "UNUSED = 4", NONE),
        ("    return value\n", "    return -value\n", NONE),
        ("UNUSED = 3", "UNUSED = 3\nprint()", FIRST | SECOND),  # it runs in any case
        ('description="how many units"', 'description="otherwise"', NONE),
        ("le=64", "le=128", NONE),
        ('"""What can be set of the second."""', '"""Otherwise."""', NONE),
        ("settings: FirstSettings, data: Description) -> object", "settings, data: dict[str, int])", NONE),
        ("    # what it is good for\n", "", NONE),
        ('    """Build the first."""\n', '    """Otherwise."""\n\n', NONE),
        ('"data.limit": 1_000', '"data.limit": 2_000', NONE),
        ('"autoencoder"', '"score"', SECOND),
    ],
)
def test_an_edit_of_the_module(load: Load, old: str, new: str, expected: set[str]) -> None:
    """It changes the keys of the networks that it decides, and of no other."""
    assert MODULE.count(old) == 1
    before = keys_of(load())
    assert changed(before, keys_of(load(mine=MODULE.replace(old, new)))) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("deeper(units) * scale", "deeper(units) + scale", FIRST),
        ("units * FACTOR", "units + FACTOR", FIRST),  # reached through another function
        ("FACTOR = 5", "FACTOR = 6", FIRST),
        ("return 0.5", "return 0.6", SECOND),
        ("    return units\n", "    return -units\n", NONE),
        ("FACTOR = 5", "FACTOR = 5\nif FACTOR > 6:\n    FACTOR = 7", FIRST | SECOND),
        ("units, scale):", "units: int, scale: int) -> int:", NONE),
    ],
)
def test_an_edit_beside_the_module(load: Load, old: str, new: str, expected: set[str]) -> None:
    """A function of another file counts as one of the module does, and what it reaches in turn."""
    assert BESIDE.count(old) == 1
    before = keys_of(load())
    assert changed(before, keys_of(load(mine_beside=BESIDE.replace(old, new)))) == expected


def test_the_default_of_a_setting_counts_by_its_value(load: Load) -> None:
    """Another default is another value, where none is given; the value of before is the key of before."""
    other = MODULE.replace("Field(16,", "Field(32,")
    before = keys_of(load(), seed=3)
    model = load(mine=other)
    assert changed(before, keys_of(model, seed=3)) == FIRST
    first = model.classifier
    again = steps.network_key(
        first,
        first.settings.model_validate({"seed": 3, "units": 16}),
        DATASET,
        DESCRIPTION,
        DataSettings(held_out=100),
    )
    assert again.digest == before["first"].digest


IMPORTS = [
    ("import mine_beside", "mine_beside.first_block"),
    ("import mine_beside as other", "other.first_block"),
    ("from mine_beside import first_block as other", "other"),
    ("from mine_beside import *", "first_block"),
    ("from mine_package import first_block", "first_block"),
    ("import mine_package.inner", "mine_package.inner.first_block"),
    ("from mine_package import inner", "inner.first_block"),
    ("from mine_bare import inner", "inner.first_block"),  # a folder without __init__.py
    ("try:\n    from mine_beside import first_block\nexcept ImportError:\n    pass", "first_block"),
]


@pytest.mark.parametrize(
    ("imports", "call", "where"),
    [
        (*each, where)
        for each in IMPORTS
        for where in ("top", "function")
        if where == "top" or "*" not in each[0]  # Python allows it at the top alone
    ],
)
def test_every_form_of_an_import_is_followed(load: Load, imports: str, call: str, where: str) -> None:
    """Whatever way the module takes to a function of another file, an edit there is seen."""
    text = MODULE.replace("import first_block, scored_by", "import scored_by")
    text = text.replace("first_block(settings", f"{call}(settings")
    if where == "top":
        text = text.replace("SCALE = 2", f"{imports}\n\nSCALE = 2")
    else:
        text = text.replace("    import keras\n", "    import keras\n" + _indented(imports))
    modules = {
        "mine": text,
        "mine_package/__init__": "from .inner import first_block\n",
        "mine_package/inner": BESIDE,
        "mine_bare/inner": BESIDE,
    }
    before = keys_of(load(**modules))
    (top,) = {name for name in ("mine_package", "mine_bare") if name in imports} or {""}
    edit = {f"{top}/inner" if top else "mine_beside": BESIDE.replace("units * FACTOR", "units + FACTOR")}
    assert changed(before, keys_of(load(**modules | edit))) >= FIRST


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_methods_of_a_base_of_the_settings_count(load: Load) -> None:
    """A class of settings may derive from another one of the user's, in another file."""
    base = (
        "from settings.model import Training\n\n\n"
        "class Base(Training):\n    def tripled(self):\n        return 3\n"
    )
    text = MODULE.replace("class FirstSettings(Training)", "class FirstSettings(Base)").replace(
        "SCALE = 2", "from mine_base import Base\n\nSCALE = 2"
    )
    before = keys_of(load(mine=text, mine_base=base))
    after = keys_of(load(mine=text, mine_base=base.replace("return 3", "return 4")))
    assert changed(before, after) == FIRST


def test_what_is_used_of_this_project_counts_with_all_that_it_imports(load: Load) -> None:
    """A network that is built of one of the project's has the modules of that one in its key."""
    text = MODULE.replace(
        "    return json.dumps(settings.halved())",
        "    from tasks.models.concept import DenseConcept\n\n    return DenseConcept(settings, data)",
    )
    made = keys_of(load(mine=text))
    assert {"tasks.models.concept", "tasks.models.dense"} <= made["second"].code.keys()
    assert "tasks.models.concept" not in made["first"].code


def test_the_version_of_a_library_counts(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a library that the functions of one network import, for that network."""
    before = keys_of(load())
    assert "library keras" in before["first"].parts
    assert "library keras" not in before["second"].parts
    assert not [part for part in before["second"].parts if "json" in part]  # of the standard library
    real = keys.library_version
    monkeypatch.setattr(keys, "library_version", lambda name: "99" if name == "keras" else real(name))
    assert changed(before, keys_of(load())) == FIRST


def test_a_library_that_is_not_installed_is_named(load: Load) -> None:
    """Before anything is trained, with what needs it."""
    model = load(mine=MODULE.replace("import keras\n", "import no_such_library.part as keras\n"))
    with pytest.raises(WrongInput, match="the library no_such_library is not installed here"):
        keys_of(model)


@pytest.mark.parametrize(
    ("package", "distribution"), [("numpy", "numpy"), ("PIL", "pillow"), ("yaml", "pyyaml")]
)
def test_a_package_is_known_by_its_distribution(package: str, distribution: str) -> None:
    """Whose version is what counts."""
    assert distribution_of(package) == distribution


@pytest.mark.parametrize(
    ("made_by", "said"),
    [
        ("lambda settings, data: None", "<lambda> is no function at the top of a module"),
        ("(lambda: first)() and [x for x in [lambda s, d: 1]][0]", "is no function at the top of a module"),
        ("FirstSettings.model_dump", r"BaseModel\.model_dump is no function at the top"),
        ("__import__('functools').partial(first, data=None)", "is no function at the top of a module"),
    ],
)
def test_what_is_no_function_at_the_top_is_refused(load: Load, made_by: str, said: str) -> None:
    """Its code could not be told."""
    model = load(mine=MODULE.replace("FirstSettings, first)", f"FirstSettings, {made_by})"))
    with pytest.raises(WrongInput, match=said):
        keys_of(model)


def test_the_folder_decides_nothing(load: Load) -> None:
    """The same files elsewhere, as on another machine, have the same keys."""
    here = keys_of(load("here"))
    assert changed(here, keys_of(load("else/where"))) == NONE


def test_an_edit_during_the_run_is_noticed(load: Load, tmp_path: Path) -> None:
    """What was made of either code is told by name; what decides nothing, and another function, is not."""
    model = load()
    first, second = model.networks
    digests = {network.name: reach([network.build], network.settings).digests for network in (first, second)}
    path, beside = tmp_path / "here" / "mine.py", tmp_path / "here" / "mine_beside.py"
    assert edited(digests["first"]) == []
    harmless = MODULE.replace("# what it is good for", "# for nothing").replace("UNUSED = 3", "UNUSED = 4")
    path.write_text(harmless)
    assert edited(digests["first"]) == edited(digests["second"]) == []
    path.write_text(MODULE.replace("return self.steps // 2", "return self.steps // 3"))
    assert (edited(digests["first"]), edited(digests["second"])) == ([], ["mine.SecondSettings"])
    path.write_text(MODULE)
    beside.write_text(BESIDE.replace("units * FACTOR", "units + FACTOR"))
    assert (edited(digests["first"]), edited(digests["second"])) == (["mine_beside.deeper"], [])
    for damage in (lambda: beside.write_text("def deeper(units"), beside.unlink):
        damage()  # an editor may be in the middle of it
        assert set(edited(digests["first"])) >= {"mine_beside.deeper", "mine_beside.first_block"}
        assert edited(digests["second"]) == []
