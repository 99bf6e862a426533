"""Every command line of README, CONTRIBUTING and docs is run by some suite of .ci/run, or it is said why not.

A new command needs a row in `RUN`, by its first words: the file that runs it and words of that file, or None
and why no suite runs it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from settings.delivery import Parameters
from settings.sources import resolve
from tasks.models.builtin import BUILT_IN

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
PROGRAMS = {
    "make",
    "python",
    "prefect",
    "slipway",
    "docker",
    "kubectl",
    "minikube",
    "curl",
    "export",
    "alias",
    "k",
    "p",
}
ALIASES = {
    "k": "kubectl -n slipway",
    "p": "kubectl -n slipway exec deployment/prefect-worker --container worker -- prefect",
}
# How blocks without any command begin.
OUTPUTS = (
    "task  ",
    "settings/  ",
    "no model server answers",
    "MetaGraphDef",
    "saved_model.pb",
    "environment: ",
    "gate  ",
    "shapes: ",
    '{"predictions"',
    "WARNING | ",
)


class Where(NamedTuple):
    """The file that runs a command, and words of it; or none, and the reason."""

    file: str | None
    words: str


IN_WORKER = "kubectl -n slipway exec deployment/prefect-worker --container worker --"
COMPOSE = "docker compose -f docker/compose.yaml"
RUNS, KUBERNETES, TARGETS = (
    "tests/kubernetes/test_deployer.py",
    "tests/kubernetes/installation.py",
    "tests/flows/test_targets.py",
)
BY_HAND = Where(
    None, "no suite takes a cluster's production, volumes or server apart; it was rehearsed by hand"
)
MINIKUBE = Where(None, "there is no minikube in CI: LOAD brings the images into its cluster")

RUN: dict[str, Where] = {
    "make deliver": Where(TARGETS, '"deliver"'),
    "PREFECT_API_URL=http://127.0.0.1:4200/api make deliver": Where(TARGETS, "PREFECT_API_URL"),
    "make status": Where(TARGETS, '"status"'),
    "make rollback": Where(TARGETS, '"rollback"'),
    "make start": Where(TARGETS, '"start"'),
    "make stop": Where(TARGETS, '"stop"'),
    "make format": Where(TARGETS, '"format"'),
    "make docs": Where(TARGETS, '"docs"'),
    "make help": Where("tests/test_makefile.py", 'make("help")'),
    "make test": Where(".ci/run", "tests test "),
    "make check": Where(".ci/run", "make lint"),
    "make lock": Where(None, "what it gives depends on what the package index holds that day"),
    "make image": Where("deployments/targets.mk", "test-compose: env-test image"),
    "make deliver-kubernetes": Where(
        None, "its targets are run one by one: image, load, manifests, deployments, seed"
    ),
    "make deployments": Where("tests/kubernetes/conftest.py", 'make("deployments"'),
    "make seed": Where("tests/kubernetes/conftest.py", 'make("seed"'),
    "python flows/deliver.py": Where("tests/flows/test_main_job.py", '"deliver.py"'),
    "python flows/rollback.py": Where(TARGETS, "rollback.py"),
    "slipway new": Where("tests/flows/test_new.py", '"new"'),
    "slipway rollback": Where("tests/flows/test_own_model.py", '"rollback"'),
    "slipway status": Where("tests/flows/test_own_model.py", "slipway status"),
    "python examples/draw_pictures.py": Where("tests/flows/test_own_model.py", "draw_pictures.py"),
    "slipway data add": Where("tests/flows/test_data.py", '"data", "add"'),
    "slipway prune": Where("tests/test_prune.py", '"prune", "--keep"'),
    "python tests/benchmarks/": Where("tests/flows/test_benchmarks.py", '"benchmarks"'),
    "prefect server start": Where("tests/flows/conftest.py", '"server", "start"'),
    "curl": Where(TARGETS, '"curl"'),
    # In containers.
    f"{COMPOSE} up --wait": Where("tests/compose/conftest.py", '"up", "--wait"'),
    f"{COMPOSE} exec worker prefect deployment run": Where(
        "tests/compose/conftest.py", '"deployment", "run"'
    ),
    f"{COMPOSE} exec worker slipway status": Where("tests/compose/test_compose.py", '"slipway", "status"'),
    f"{COMPOSE} exec -T worker cat": Where("tests/compose/test_compose.py", '"cat", "/models/receipts'),
    f"{COMPOSE} logs": Where("tests/compose/test_compose.py", '"logs"'),
    f"{COMPOSE} cp": Where("tests/compose/test_compose.py", '"cp"'),
    f"{COMPOSE} down": Where("tests/compose/conftest.py", '"down"'),
    f"{COMPOSE} -f docker/compose.token.yaml": Where(
        "tests/compose/test_compose_file.py", "compose.token.yaml"
    ),
    "export SERVING_TOKEN_FILE": Where(None, "it names a file for the next line"),
    # On a cluster.
    "minikube": MINIKUBE,
    "prefect deployment run": Where(RUNS, '"prefect", "deployment", "run"'),
    "export PREFECT_API_": Where(KUBERNETES, "prefect-auth"),
    "alias": Where(None, "the lines after it are held against the table without it"),
    f"{IN_WORKER} prefect deployment run": Where(RUNS, '"prefect", "deployment", "run"'),
    f"{IN_WORKER} prefect flow-run logs": Where("tests/flows/test_prefect_server.py", '"flow-run", "logs"'),
    f"{IN_WORKER} slipway": Where("tests/kubernetes/test_delivery.py", '"slipway", "status"'),
    "kubectl apply -k": Where("deployments/targets.mk", "apply -k"),
    "kubectl -n slipway wait": Where("deployments/targets.mk", "wait --for condition=Available"),
    "kubectl -n slipway get": Where(KUBERNETES, '"get"'),
    "kubectl -n slipway port-forward": Where("tests/kubernetes/asking.py", '"port-forward"'),
    "kubectl -n slipway exec deployment/mnist-production -- ": Where(
        KUBERNETES, '"deployment/mnist-production", "--"'
    ),
    "kubectl create namespace": Where("tests/kubernetes/test_deployer.py", '"create", "namespace"'),
    "kubectl label namespace": Where("tests/kubernetes/test_deployer.py", '"label", "namespace"'),
    "kubectl -n slipway apply -f deployments": Where("tests/kubernetes/test_deployer.py", '"deployer.yaml"'),
    "kubectl -n slipway create rolebinding": Where(
        "tests/kubernetes/test_deployer.py", '"create", "rolebinding"'
    ),
    "kubectl -n slipway logs": BY_HAND,
    "kubectl -n slipway rollout": BY_HAND,
    "kubectl -n slipway scale": BY_HAND,
    "kubectl -n slipway apply -f -": BY_HAND,
    "kubectl -n slipway delete": BY_HAND,
    "kubectl -n slipway exec hands": BY_HAND,
    "kubectl -n slipway exec -i hands": BY_HAND,
    "kubectl -n slipway exec deployment/prefect-server": BY_HAND,
    "make image load manifests deployments TAG=new": BY_HAND,
}


def command_lines(text: str) -> list[str]:
    """Give the command lines of a document's blocks: those after `$`, or all of a block of commands."""
    found = []
    for language, block in re.findall(r"^```(\S*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        block = re.sub(r"(<<'(\w+)'\n).*?^\2\n", r"\1", block, flags=re.MULTILINE | re.DOTALL)
        lines = [line for line in block.splitlines() if line.strip()]
        if language or any(block.startswith(words) for words in OUTPUTS):
            continue
        if any(line.startswith("$ ") for line in lines):
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found += [line.strip() for line in lines if not line.lstrip().startswith("#")]
    return found


def expanded(line: str) -> str:
    """Write out what the runbook abbreviates."""
    first, _, rest = line.partition(" ")
    return f"{ALIASES[first]} {rest}" if first in ALIASES else line


def row_of(line: str) -> str | None:
    """Give the row of the table that knows a command: the longest that it begins with."""
    fits = [words for words in RUN if f"{expanded(line)} ".startswith(words)]
    return max(fits, key=len, default=None)


ALL = [(name, line) for name in DOCUMENTS for line in command_lines((ROOT / name).read_text())]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_is_in_the_table(name):
    """A new command in a document gets a row: what runs it, or why nothing does."""
    unknown = [line for document, line in ALL if document == name and row_of(line) is None]
    assert unknown == []


def test_every_block_is_of_commands_or_of_output():
    """A block without `$` whose lines begin with no known program is output, and said to be."""
    for name, line in ALL:
        word = re.sub(r"^(\w+=\S+ )+", "", line).split()[0]
        assert word in PROGRAMS, f"{name}: {line!r} is neither after a $ nor a known program: see OUTPUTS"


def test_no_row_is_left_over():
    """What no document says any more goes out of the table."""
    assert set(RUN) - {row_of(line) for _, line in ALL} == set()


@pytest.mark.parametrize("words", [words for words, where in RUN.items() if where.file])
def test_the_table_tells_the_truth(words):
    """The file that is said to run a command has the words for it."""
    where = RUN[words]
    assert where.words in (ROOT / str(where.file)).read_text(), f"{where.file} does not run {words!r}"


def deliveries() -> list[str]:
    """Give the documented deliveries, without their comments; those of a module are run with it."""
    script, other = "python flows/deliver.py ", ("--help", "--model")
    return [
        line.partition("  #")[0]
        for _, line in ALL
        if line.startswith(script) and not any(word in line for word in other)
    ]


@pytest.mark.parametrize("line", deliveries())
def test_the_options_of_a_documented_delivery_are_known(line):
    """What a delivery is called with in a document is read without an error."""
    assert resolve(shlex.split(line)[2:], Parameters(BUILT_IN), environ={}, folder=ROOT).delivery
