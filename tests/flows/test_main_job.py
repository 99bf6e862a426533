"""The main job as a user runs it: `python flows/deliver.py` with the default settings, on all of MNIST."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import ROOT, free_port

SCRIPT = str(ROOT / "flows" / "deliver.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the runs: there is nothing in it."""
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def environ(home: Path, data_root: Path) -> Iterator[dict[str, str]]:
    """The variables of the runs: other ports, the tests' datasets, no Prefect server; stops what serves."""
    named = {"DATA_ROOT": str(data_root), "STAGE_PORT": str(free_port()), "PRODUCTION_PORT": str(free_port())}
    named = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | named
    named["PREFECT_HOME"] = str(home / "prefect")
    yield named
    subprocess.run([sys.executable, "-m", "flows", "stop"], cwd=home, env=named, check=True)


@pytest.fixture(scope="module")
def first(home: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The first delivery."""
    return subprocess.run(
        [sys.executable, SCRIPT], cwd=home, env=environ, capture_output=True, text=True, timeout=600
    )


def test_from_nothing_to_production(first, home):
    """The model passes every gate on all of MNIST, and answers the request that the command prints."""
    assert first.returncode == 0, first.stdout + first.stderr
    receipt = json.loads((home / "models" / "receipts" / "mnist" / "1-1" / "receipt.json").read_bytes())
    measured = {gate["name"]: gate for gate in receipt["gates"]}
    assert measured["accuracy"]["measured"] >= 0.98
    assert measured["auroc"]["measured"] >= 0.9995
    assert receipt["passed"] is True
    assert measured["champion"]["measured"] is None  # there is none yet
    (line,) = re.findall(r"^ask it +(curl .+)$", first.stdout, re.MULTILINE)
    _, _, file, url = shlex.split(line)
    answer = httpx.post(url, content=(home / file.removeprefix("@")).read_bytes())
    assert answer.headers["x-model-version"] == "1"
    (prediction,) = answer.json()["predictions"]
    assert prediction["class_ids"] in range(10)
    assert prediction["in_distribution"] is True


def test_a_second_run_does_nothing_and_needs_no_tensorflow(first, home, environ):
    """Every task says that its result was at hand; neither TensorFlow nor LiteRT is imported."""
    assert first.returncode == 0
    second = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPT],
        cwd=home,
        env=environ | {"http_proxy": "http://127.0.0.1:9"},  # nobody is there, and nobody is to be asked
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert second.returncode == 0, second.stdout + second.stderr[-2_000:]
    rows = re.findall(r"^(\S.*?) {2,}(computed|cached|unchanged|unreachable)\b", second.stdout, re.MULTILINE)
    assert {how for _, how in rows} <= {"cached", "unchanged", "unreachable"}
    assert {name for name, _ in rows} >= {"fetch-dataset mnist", "train-classifier", "export", "promote"}
    imported = re.findall(r"\| +([\w.]+)$", second.stderr, re.MULTILINE)
    assert "prefect" in imported
    assert not {"tensorflow", "keras", "ai_edge_litert"} & set(imported)


def test_the_notebook_of_the_readme(first, home, environ):
    """The five lines of the README open a dataset and the model, and give its accuracy."""
    assert first.returncode == 0
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=home, env=environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert 0.98 <= float(done.stdout) < 1
