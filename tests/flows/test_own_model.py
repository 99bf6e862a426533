"""Models of one's own, delivered as a user does it: the examples, and each line of docs/your-own-model.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.flows.conftest import ROOT, Place, free_port

EXAMPLES = ROOT / "examples"
TUTORIAL = ROOT / "docs" / "your-own-model.md"
SCRIPT = str(ROOT / "flows" / "deliver.py")


@pytest.fixture
def own(place: Place) -> Place:
    """A workplace without the tests' settings, which are of the built-in model, and without their data."""
    (place.root / "deliver.toml").unlink()
    place.environ["DATA_ROOT"] = str(place.root / "data")
    return place


def receipt_of(place: Place, name: str, judging: str) -> dict[str, Any]:
    """Give the receipt of a judging."""
    path = place.models / "receipts" / name / judging / "receipt.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def ask(place: Place, name: str, judging: str) -> dict[str, Any]:
    """Give production's answer to the request that the delivery left."""
    request = (place.models / "receipts" / name / judging / "request.json").read_bytes()
    response = httpx.post(f"{place.production}/v1/models/{name}:predict", content=request)
    response.raise_for_status()
    (answer,) = response.json()["predictions"]
    return dict(answer)


def computed(output: str) -> set[str]:
    """Give the tasks that a delivery's table calls computed."""
    return set(re.findall(r"^(\S+)(?: \S+)?\s+computed\s", output, flags=re.MULTILINE))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path):
    """Whoever copies one reads it in a minute: sixty lines, without the blank ones and the module's text."""
    text = re.sub(r'\A""".*?"""', "", path.read_text(), flags=re.DOTALL)
    assert len([line for line in text.splitlines() if line.strip()]) <= 60


def test_few_rows_and_no_score(own):
    """scikit-learn's digits come into production by a classifier alone; an unchanged run computes nothing."""
    command = [SCRIPT, "--model", str(EXAMPLES / "digits.py")]
    own.run(*command).done()
    gates = {gate["name"]: gate["state"] for gate in receipt_of(own, "digits", "1-1")["gates"]}
    assert {gates[name] for name in ("auroc", "trivial-detectors", "flagged-share")} == {"not applicable"}
    assert "failed" not in gates.values()
    answer = ask(own, "digits", "1-1")
    assert answer.keys() == {"class_ids", "logits", "probabilities"}
    assert computed(own.run(*command).done()) == set()
    changed = own.run(*command, "--dense.units", "96", "--until", "exported").done()
    assert computed(changed) >= {"train-dense", "export"}


@pytest.mark.parametrize(("shape", "classes"), [((8, 8, 1), 10), ((32, 32, 3), 5), ((20, 30, 1), 2)])
def test_rows_of_any_shape(own, tmp_path, shape, classes):
    """The built-in networks learn them, and what is served takes and names them as they are."""
    chance = np.random.default_rng(1)
    patterns = chance.integers(0, 200, (classes, *shape))

    def drawn(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % classes
        return (patterns[labels] + chance.integers(0, 56, (count, *shape))).astype(np.uint8), labels

    (x_train, y_train), (x_test, y_test) = drawn(1_200), drawn(300)
    names = [f"kind {label}" for label in range(classes)]
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(tmp_path / "rows.npz", **arrays, class_names=np.array(names))
    own.run("-m", "flows", "data", "add", "rows", str(tmp_path / "rows.npz")).done()
    small = ("--classifier.steps", "200", "--classifier.batch_size", "64", "--concept.steps", "100")
    gates = (
        "--judging.min_accuracy",
        "0.9",
        "--judging.min_auroc",
        "0.9",
        "--judging.bootstrap_rounds",
        "50",
    )
    said = own.run(SCRIPT, "--data.train", "rows", *small, *gates).done()
    assert "judged against shuffled, which is made: no outliers were given" in said
    answer = ask(own, "rows", "1-1")
    assert answer["class_names"] == names[answer["class_ids"]]
    response = httpx.post(
        f"{own.production}/v1/models/rows:predict",
        json={"signature_name": "reconstruct", "inputs": (x_test[:2] / 255).tolist()},
    )
    assert np.shape(response.json()["outputs"]) == (2, *shape)


def test_the_way_back_needs_no_module(own):
    """With a syntax error in the module, versions are listed, stopped, started and rolled back."""
    module = own.root / "mine.py"
    shutil.copy(EXAMPLES / "digits.py", module)
    command = [SCRIPT, "--model", "mine.py"]
    own.run(*command).done()
    own.run(*command, "--dense.seed", "2", "--judging.no-champion").done()
    module.write_text("model = (\n")
    (own.root / "deliver.toml").write_text('model = "mine.py"\n[dense]\nunits = 96\n')
    code, said = own.run(SCRIPT).end()
    assert code == 2
    assert (
        said.strip()
        .splitlines()[-1]
        .startswith("slipway: deliver.toml: model is 'mine.py': is not Python, line 1")
    )
    assert "version 1 of digits is in production" in own.run("-m", "flows", "rollback").done()
    assert "version 1 of digits" in own.run("-m", "flows", "status").done()
    own.run("-m", "flows", "stop").done()
    assert "version 1 of digits is served" in own.run("-m", "flows", "start").done()


@pytest.mark.slow
def test_a_convolutional_network_on_fashion(own, data_root):
    """Nine of ten of Fashion-MNIST's test images at the defaults; its settings train it alone."""
    own.environ["DATA_ROOT"] = str(data_root)
    command = [SCRIPT, "--model", str(EXAMPLES / "fashion.py")]
    assert "train-concept" in computed(own.run(*command).done())
    receipt = receipt_of(own, "fashion", "1-1")
    assert receipt["passed"]
    measured = {gate["name"]: gate["measured"] for gate in receipt["gates"]}
    assert measured["accuracy"] >= 0.90
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
    assert receipt["metrics"]["class_names"][:5] == names
    answer = ask(own, "fashion", "1-1")
    assert answer["class_names"] == receipt["metrics"]["class_names"][answer["class_ids"]]
    assert computed(own.run(*command).done()) == set()
    changed = own.run(*command, "--cnn.steps", "20", "--until", "exported").done()
    assert computed(changed) == {"try", "train-cnn", "export"}


@pytest.mark.slow
def test_colour_pictures_in_folders(own, tmp_path):
    """Two convolutional networks learn five classes of photographs, two others are outliers; all gates pass.

    Where there are none, pictures are drawn: what a score by energy does not tell from them is refused.
    """
    folder = tmp_path / "pictures"
    archive = Path(os.environ.get("DATASET_FOLDER", "")) / "pictures.tar.gz"
    if archive.is_file():
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
    else:
        own.run(str(EXAMPLES / "draw_pictures.py"), str(folder)).done()
    own.run("-m", "flows", "data", "add", "pictures", str(folder)).done()
    own.run("-m", "flows", "data", "add", "strangers", str(folder / "outliers"), "--outliers").done()
    code, said = own.run(SCRIPT, "--model", str(EXAMPLES / "pictures.py")).end()
    states = {gate["name"]: gate["state"] for gate in receipt_of(own, "pictures", "1-1")["gates"]}
    assert {name for name, state in states.items() if state == "off"} == {"latency"}
    assert states["accuracy"] == "passed"
    if archive.is_file():
        assert code == 0, said
        assert ask(own, "pictures", "1-1").keys() >= {"class_names", "score", "in_distribution"}
    else:
        assert (code, states["auroc"]) == (1, "failed"), said


@pytest.mark.slow
def test_the_tutorial(tmp_path):
    """Each command of docs/your-own-model.md, in its order, does what the page says."""
    for name in ("flows", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    text = TUTORIAL.read_text()
    (module,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "build" / "shapes.py").write_text(module)
    fenced = re.findall(r"^```(\S*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fenced if not language]
    starts = ("python ", "slipway ", "curl ")
    commands = [line for block in blocks if block.startswith(starts) for line in block.splitlines()]
    assert len(commands) == 9
    production = str(free_port())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "STAGE_PORT": str(free_port()),
        "PRODUCTION_PORT": production,
    }
    said = {}
    try:
        for command in commands:
            done = subprocess.run(  # noqa: S602 - as a user types it
                command.replace(":8501", f":{production}"),
                shell=True,
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                text=True,
                timeout=900,
            )
            refused = "--data.train shapes" in command  # by the gates of MNIST
            assert done.returncode == (1 if refused else 0), f"{command}\n{done.stdout}{done.stderr}"
            said[command] = done.stdout
    finally:
        subprocess.run([ROOT / ".venv" / "bin" / "slipway", "stop"], cwd=tmp_path, env=environ, check=True)
    (second,) = (output for command, output in said.items() if "--net.filters" in command)
    assert "version 3 of shapes is in production" in second
    assert "train-net" in computed(second)
    assert "train-concept" not in computed(second)
    (answer,) = (output for command, output in said.items() if command.startswith("curl"))
    (prediction,) = json.loads(answer)["predictions"]
    assert prediction["class_names"] in ("circle", "pentagon", "square", "star", "triangle")
    assert "version 2 of shapes" in said["slipway status"]
