"""Which code decides which step's result: stated here by hand, and held against the keys module by module."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from settings.delivery import Parameters
from settings.model import Description
from tasks import steps
from tasks.models.builtin import BUILT_IN
from tasks.question import Question
from tasks.store import code, functions
from tasks.store.artifacts import Artifact
from tasks.store.keys import Key

SOURCE = code.ROOT
MODULES = sorted(
    path.relative_to(SOURCE).as_posix() for name in code.FIRST_PARTY for path in (SOURCE / name).rglob("*.py")
)

SETS = ("mnist", "notmnist-small", "glyphs", "blank", "dimmed", "rotated")
RELEASED = {"export", "stage", "judge", "promote", "report"}

TRAIN = {"train-classifier", "train-concept"}
JUDGE = {"scores", "verdict"}  # the two artifacts of the task judge
ALL = {"fetch-dataset", *TRAIN, "export", *JUDGE}

STEPS: dict[str, set[str]] = {
    "flows/*": set(),
    "settings/__init__.py": ALL,
    "settings/errors.py": ALL,
    "settings/model.py": {"fetch-dataset"},
    "settings/*": set(),  # settings are in a key by their values
    "tasks/__init__.py": ALL,
    "tasks/datasets/__init__.py": ALL,
    "tasks/datasets/arrays.py": ALL,
    "tasks/datasets/pixels.py": ALL - {"fetch-dataset"},
    "tasks/datasets/roles.py": set(),
    "tasks/datasets/room.py": set(),
    # What reads a set that is added: what it finds is in the digest of the set.
    "tasks/datasets/adding.py": set(),
    "tasks/datasets/arrays_found.py": set(),
    "tasks/datasets/folders.py": set(),
    "tasks/datasets/found.py": set(),
    "tasks/datasets/parting.py": set(),
    "tasks/datasets/unpacking.py": set(),
    "tasks/datasets/selection.py": ALL - {"fetch-dataset"},
    "tasks/datasets/*": {"fetch-dataset"},
    "tasks/making/__init__.py": ALL,
    "tasks/making/dataset.py": {"fetch-dataset"},
    "tasks/making/network.py": TRAIN,
    "tasks/making/room.py": TRAIN,
    "tasks/making/release.py": {"export"},
    "tasks/making/trial.py": set(),  # what cannot be trained has no result
    "tasks/making/scores.py": JUDGE,
    "tasks/making/verdict.py": {"verdict"},
    "tasks/models/classifier.py": {"train-classifier", "export"},
    "tasks/models/concept.py": {"train-concept", "export"},
    "tasks/models/score.py": {"train-concept", "export"},  # a method of the concept
    "tasks/models/builtin.py": set(),  # its functions count one by one
    "tasks/models/loading.py": set(),
    "tasks/models/loop.py": TRAIN,
    "tasks/models/schedule.py": TRAIN,
    "tasks/models/checkpoints.py": TRAIN,
    "tasks/models/*": {*TRAIN, "export"},
    "tasks/release/__init__.py": {"export", *JUDGE},
    "tasks/release/contract.py": {"export", *JUDGE},
    "tasks/release/document.py": JUDGE,
    "tasks/release/reader.py": JUDGE,
    "tasks/release/inprocess.py": {"export", "verdict"},
    "tasks/release/parity.py": {"export", "verdict"},
    "tasks/release/promise.py": {"export", *JUDGE},
    "tasks/release/registry.py": set(),
    "tasks/release/history.py": set(),
    "tasks/release/champions.py": set(),  # the versions that it names are in the key
    "tasks/release/*": {"export"},
    "tasks/serving/*": JUDGE,
    "tasks/channels/__init__.py": JUDGE,
    "tasks/channels/backend.py": JUDGE,
    "tasks/channels/client.py": JUDGE,
    "tasks/channels/wanted.py": JUDGE,
    "tasks/channels/*": set(),
    "tasks/judging/__init__.py": JUDGE,
    "tasks/judging/scores.py": JUDGE,
    "tasks/judging/scoring.py": JUDGE,
    "tasks/judging/sets.py": JUDGE,
    "tasks/judging/receipt.py": set(),
    "tasks/judging/*": {"verdict"},
    "tasks/reporting/*": set(),
    "tasks/store/__init__.py": ALL,
    "tasks/store/files.py": ALL,
    "tasks/store/schema.py": {"export", *JUDGE},
    "tasks/store/artifacts.py": {"fetch-dataset", "export"},
    "tasks/store/token.py": JUDGE,
    "tasks/store/*": set(),
    "tasks/*": set(),  # the thin modules: they only bring together
}
"""By pattern of a module's path, the first that fits: the steps that a change in it makes run."""

THIN = {
    "tasks.fetch": {"fetch-dataset"},
    "tasks.train": TRAIN,
    "tasks.export": {"export"},
    "tasks.judge": JUDGE,
    "tasks.question": JUDGE,
}

PLUMBING = {
    "settings.delivery",
    "settings.hyperparameters",
    "settings.model",
    "tasks.datasets.description",  # what it tells is in the keys
    "tasks.compatibility",  # which versions are compared with, which are in the key
    "tasks.datasets.roles",  # names sets, and what decides them is in their keys
    "tasks.channels.cluster",  # names the image of this process, which no key has
    "tasks.fetch",  # what it brought
    "tasks.kept",
    "tasks.machine",  # what the key has where it counts
    "tasks.models.loading",
    "tasks.opening",
    "tasks.question",
    "tasks.train_in_pod",
    "tasks.release.champions",
    "tasks.release.history",
    "tasks.release.registry",
    "tasks.stage",
    "tasks.steps",
    "tasks.stopping",
    "tasks.store.*",
    "tasks.timeline",
    "tasks.workplace",
}
"""What thin modules may use besides the code of their keys: it moves results, and decides none."""


def keys() -> dict[str, Key]:
    """Give the key of every step, for the same inputs and settings each time."""
    settings = Parameters(BUILT_IN).delivery()
    dataset, other, classifier, concept, release = (
        Artifact(kind=kind, path="x", digest=kind)
        for kind in ("dataset/mnist", "dataset/glyphs", "classifier", "concept", "release")
    )
    described = Description(shape=(28, 28), classes=tuple("0123456789"))
    networks = {"classifier": classifier, "concept": concept}
    question = Question(
        version=1,
        release=release,
        rivals=(),
        dataset=dataset,
        description=described,
        sets={"glyphs": other},
        primary="glyphs",
        wanted="glyphs",
        primary_is_made=False,
        data=settings.data,
        judging=settings.judging,
        serving=settings.serving,
    )
    trained = {
        f"train-{network.name}": steps.network_key(
            network, settings.networks[network.name], dataset, described, settings.data
        )
        for network in BUILT_IN.networks
    }
    return {
        "fetch-dataset": steps.dataset_key("mnist", {}, None, {}),
        **trained,
        "export": steps.release_key(settings, BUILT_IN, dataset, described, networks),
        "scores": question.scores_key("release"),
        "verdict": question.key,
    }


def digests() -> dict[str, str]:
    """Give the digests of all keys."""
    return {step: key.digest for step, key in keys().items()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, to be changed and changed back."""
    root = tmp_path_factory.mktemp("sources")
    for name in code.FIRST_PARTY:
        shutil.copytree(SOURCE / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def examined() -> dict[str, code.Examined | None]:
    """What is known of the modules of the copy."""
    return {}


@pytest.fixture
def change(
    sources: Path, examined: dict[str, code.Examined | None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """A function that gives a module of the copy, whose keys are made from now on, another text."""
    examine = code._examine.__wrapped__

    def remembered(name: str) -> code.Examined | None:
        if name not in examined:
            examined[name] = examine(name)
        return examined[name]

    def forget(module: str) -> None:
        functions._source.cache_clear()
        steps.code_of.cache_clear()
        examined.pop(module.removesuffix(".py").removesuffix("/__init__").replace("/", "."), None)

    before: dict[str, str] = {}

    def written(module: str, text: str) -> None:
        before.setdefault(module, (sources / module).read_text())
        (sources / module).write_text(text)
        forget(module)

    file_of = functions._file_of
    monkeypatch.setattr(functions, "_file_of", lambda name: code.module_file(name) or file_of(name))
    monkeypatch.setattr(code, "ROOT", sources)
    monkeypatch.setattr(code, "_examine", remembered)
    yield written
    for module, text in before.items():
        (sources / module).write_text(text)
        forget(module)
    functions._source.cache_clear()
    steps.code_of.cache_clear()


@pytest.mark.parametrize("module", MODULES)
def test_a_statement_in_a_module(change, sources, module):
    """A new statement changes the keys of the steps whose results the module decides, and no other key."""
    expected = STEPS[next(pattern for pattern in STEPS if fnmatch(module, pattern))]
    before = digests()
    change(module, (sources / module).read_text() + "\nCHANGED = True\n")
    after = digests()
    assert {step for step in before if before[step] != after[step]} == expected


def test_every_pattern_is_of_use():
    """No line of the table is left over from a module that is gone."""
    used = {next(pattern for pattern in STEPS if fnmatch(module, pattern)) for module in MODULES}
    assert used == STEPS.keys()


def test_comments_and_docstrings_in_every_module(change, sources):
    """Other comments, docstrings and blank lines in every module at once change no key."""
    before = digests()
    for module in MODULES:
        text = (sources / module).read_text()
        changed = described_anew(text)
        assert changed != text
        change(module, changed)
    assert digests() == before


def described_anew(text: str) -> str:
    """Give a module's text with a new comment and other docstrings, those below attributes among them."""
    lines = text.splitlines()
    strings = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    for string in sorted(strings, key=lambda string: string.lineno, reverse=True):
        indent = lines[string.lineno - 1][: string.col_offset]
        lines[string.lineno - 1 : string.end_lineno] = [f'{indent}"""Something else."""', ""]
    return "\n".join([*lines, "", "# This is new.", ""])


def code_of(*names: str) -> set[str]:
    """Give the modules that are in the keys of steps."""
    made = keys()
    parts = {part for name in names for part in made[name].parts}
    named = {part.removeprefix("code ") for part in parts if part.startswith("code ")}
    return {name for name in named if code.module_file(name) is not None}  # and not single functions


@pytest.mark.parametrize("module", THIN)
def test_thin_modules_use_no_deciding_code_outside_of_their_keys(module):
    """What a task's module imports is in the code of its keys, or is known to decide nothing."""
    tree = ast.parse(code.module_file(module).read_bytes())
    names = {name for name in code.imported_modules(tree, "tasks") if code.module_file(name) is not None}
    names -= {"tasks"} | {parent for name in names for parent in code.parents(name)}
    outside = {name for name in names if not any(fnmatch(name, allowed) for allowed in PLUMBING)}
    assert outside <= code_of(*THIN[module])


MAKERS = {
    "fetch-dataset": ("tasks.opening", "store_dataset"),
    "train-classifier": ("tasks.train", "train"),
    "train-concept": ("tasks.train", "train"),
    "export": ("tasks.export", "export"),
    "scores": ("tasks.judge", "scored"),
    "verdict": ("tasks.judge", "judge"),
}
"""By step, the function that has the store make its artifact: what it does is in no key."""

CALLS = (ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Constant, ast.JoinedStr, ast.FormattedValue)
STATEMENTS = (ast.Assign, ast.Return, ast.Expr, ast.Load, ast.Store, ast.arguments, ast.arg)


def functions_that_store(module: str) -> list[ast.FunctionDef]:
    """Give the functions of a module that have the store make something."""
    tree = ast.parse(code.module_file(module).read_bytes())
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(
            isinstance(each, ast.Call) and ast.unparse(each.func) in ("place.store.make", "keep")
            for each in ast.walk(node)
        )
    ]


def test_every_function_that_stores_is_known():
    """Nobody makes an artifact of a step but the functions of the table."""
    found = {
        (f"tasks.{path.stem}", function.name)
        for path in (SOURCE / "tasks").glob("*.py")
        for function in functions_that_store(f"tasks.{path.stem}")
    }
    assert found == {*MAKERS.values(), ("tasks.kept", "keep")}


@pytest.mark.parametrize("step", MAKERS)
def test_a_function_that_stores_only_calls(step):
    """It computes nothing: it gives what it was given, as it is, to a function that the step's key covers.

    No operator, condition, loop, number or function of its own could change a result without changing the
    key. The conditions are whether the result is at hand, and where a training runs, which no result depends
    on.
    """
    module, name = MAKERS[step]
    tree = ast.parse(code.module_file(module).read_bytes())
    (function,) = (each for each in functions_that_store(module) if each.name == name)
    calling = [node for node in function.body if not (is_where_to_run(node) or is_at_hand(node))]
    for statement in calling:
        for node in ast.walk(statement):
            assert isinstance(node, (*CALLS, *STATEMENTS)), ast.unparse(node)
            if isinstance(node, ast.Constant):
                assert isinstance(node.value, str), ast.unparse(node)
    makers = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in code_of(step)
        for alias in node.names
    }
    given = [
        argument
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        for argument in node.args
        if isinstance(argument, ast.Name) and argument.id in makers
    ]
    assert len(given) == 1, "the store is to be given one function of the key's code"


def is_where_to_run(node: ast.stmt) -> bool:
    """Tell whether a statement lets a training run in a pod of its own."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "place.runner == 'kubernetes'"


def is_at_hand(node: ast.stmt) -> bool:
    """Tell whether a statement gives what the store has, and nothing else."""
    at_hand = r"\(known := at_hand\(place, [^()]+\)\) is not None"
    return (
        isinstance(node, ast.If)
        and re.fullmatch(at_hand, ast.unparse(node.test)) is not None
        and [ast.unparse(each) for each in [*node.body, *node.orelse]] == ["return known"]
    )


def test_settings_are_not_in_the_code_of_any_key():
    """A new setting, or another description, is no change of the code that uses settings."""
    assert "settings.hyperparameters" not in code_of(*ALL)
    assert "settings.model" not in code_of(*ALL - {"fetch-dataset"})  # a set is told to be as described


@pytest.mark.parametrize(("function", "network"), [("classifier", "concept"), ("concept", "classifier")])
def test_a_function_of_the_built_in_networks(change, sources, function, network):
    """What builds one of them changes its key and the release's, and leaves the other alone."""
    module = "tasks/models/builtin.py"
    text = (sources / module).read_text()
    name = f"Dense{function.capitalize()}(settings, description)"
    assert name in text
    before = digests()
    change(module, text.replace(name, name.replace("settings,", "settings.model_copy(),")))
    after = digests()
    assert {step for step in before if before[step] != after[step]} == {f"train-{function}", "export"}
    assert before[f"train-{network}"] == after[f"train-{network}"]


@pytest.mark.parametrize(
    ("module", "news", "expected"),
    [
        # The weights turn out the same: what is made of them stands.
        ("tasks/models/loop.py", {}, TRAIN),
        ("tasks/models/classifier.py", {}, {"train-classifier", *RELEASED}),
        ("tasks/making/network.py", {}, TRAIN),
        ("tasks/models/loop.py", {"concept": "better"}, {*TRAIN, *RELEASED}),
        ("tasks/datasets/idx.py", {}, {f"fetch-dataset {name}" for name in SETS}),
        # The manifest tells the code of the export.
        ("tasks/release/golden.py", {}, RELEASED),
        ("tasks/serving/engine.py", {}, {"stage", "judge", "report"}),
        # The answers are known, and the verdict has other latencies.
        ("tasks/judging/gates.py", {}, {"stage", "judge", "report"}),
        ("tasks/reporting/charts.py", {}, set()),
    ],
)
def test_code_through_the_flow(quick, change, sources, module, news, expected):
    """A change of the code runs its steps, and what follows where their results turn out other ones."""
    change(module, (sources / module).read_text() + "\nCHANGED = True\n")
    quick.work.news |= news
    assert quick.deliver() == expected
    assert quick.deliver() == set()
