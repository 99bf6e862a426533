"""Models of one's own, delivered as a user does it: the examples, and each line of docs/your-own-model.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import ROOT, Place, free_port

EXAMPLES = ROOT / "examples"
TUTORIAL = ROOT / "docs" / "your-own-model.md"
SCRIPT = str(ROOT / "flows" / "deliver.py")


def receipt_of(place: Place, name: str, judging: str) -> dict[str, object]:
    """Give the receipt of a judging."""
    path = place.models / "receipts" / name / judging / "receipt.json"
    found: dict[str, object] = json.loads(path.read_bytes())
    return found


def ask(place: Place, name: str, judging: str) -> dict[str, object]:
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


def test_few_rows_and_no_score(place):
    """scikit-learn's digits come into production by a classifier alone; a second run computes nothing; another
    setting trains anew."""
    command = [SCRIPT, "--model", str(EXAMPLES / "digits.py")]
    place.run(*command).done()
    gates = {gate["name"]: gate["state"] for gate in receipt_of(place, "digits", "1-1")["gates"]}
    assert {gates[name] for name in ("auroc", "trivial-detectors", "flagged-share")} == {"not applicable"}
    assert "failed" not in gates.values()
    answer = ask(place, "digits", "1-1")
    assert answer.keys() == {"class_ids", "logits", "probabilities"}
    assert computed(place.run(*command).done()) == set()
    changed = place.run(*command, "--dense.units", "96", "--until", "exported").done()
    assert computed(changed) >= {"train-dense", "export"}


def test_the_way_back_needs_no_module(place, tmp_path):
    """With a syntax error in the module, versions are listed, stopped, started and rolled back."""
    module = tmp_path / "mine.py"
    shutil.copy(EXAMPLES / "digits.py", module)
    command = [SCRIPT, "--model", str(module)]
    place.run(*command).done()
    place.run(*command, "--dense.seed", "2", "--judging.no-champion").done()
    module.write_text("model = (\n")
    (place.root / "deliver.toml").write_text(f'model = "{module}"\n[dense]\nunits = 96\n')
    code, said = place.run(SCRIPT).end()
    assert code == 2
    assert (
        said.strip()
        .splitlines()[-1]
        .startswith(f"slipway: deliver.toml: model is '{module}': is not Python, line 1")
    )
    assert "version 1 of digits is in production" in place.run("-m", "flows", "rollback").done()
    assert "version 1 of digits" in place.run("-m", "flows", "status").done()
    place.run("-m", "flows", "stop").done()
    assert "version 1 of digits is served" in place.run("-m", "flows", "start").done()


@pytest.mark.slow
def test_a_convolutional_network_on_fashion(place):
    """Nine of ten of Fashion-MNIST's test images at the defaults; another setting of it trains that one only."""
    command = [SCRIPT, "--model", str(EXAMPLES / "fashion.py")]
    assert "train-concept" in computed(place.run(*command).done())
    receipt = receipt_of(place, "fashion", "1-1")
    assert receipt["passed"]
    measured = {gate["name"]: gate["measured"] for gate in receipt["gates"]}
    assert measured["accuracy"] >= 0.90
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
    assert receipt["metrics"]["class_names"][:5] == names
    answer = ask(place, "fashion", "1-1")
    assert answer["class_names"] == receipt["metrics"]["class_names"][answer["class_ids"]]
    assert computed(place.run(*command).done()) == set()
    changed = place.run(*command, "--cnn.steps", "20", "--until", "exported").done()
    assert computed(changed) == {"try", "train-cnn", "export"}


@pytest.mark.slow
def test_colour_pictures_in_folders(place, tmp_path):
    """Two convolutional networks learn five classes of pictures, two others are outliers; all gates pass."""
    folder = tmp_path / "pictures"
    archive = Path(os.environ.get("DATASET_FOLDER", "")) / "pictures.tar.gz"
    if archive.is_file():
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
    else:
        place.run(str(EXAMPLES / "draw_pictures.py"), str(folder)).done()
    place.run("-m", "flows", "data", "add", "pictures", str(folder)).done()
    place.run("-m", "flows", "data", "add", "strangers", str(folder / "outliers"), "--outliers").done()
    place.run(SCRIPT, "--model", str(EXAMPLES / "pictures.py")).done()
    receipt = receipt_of(place, "pictures", "1-1")
    assert {gate["name"] for gate in receipt["gates"] if gate["state"] == "off"} == {"latency"}
    assert ask(place, "pictures", "1-1").keys() >= {"class_names", "score", "in_distribution"}


@pytest.mark.slow
def test_the_tutorial(tmp_path):
    """Each command of docs/your-own-model.md, in its order, does what the page says."""
    for name in ("flows", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    text = TUTORIAL.read_text()
    (module,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "build" / "shapes.py").write_text(module)
    blocks = re.findall(r"^```\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
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
            done = subprocess.run(
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
        subprocess.run("slipway stop", shell=True, cwd=tmp_path, env=environ, check=True)
    (second,) = (output for command, output in said.items() if "--net.filters" in command)
    assert "version 3 of shapes is in production" in second
    assert "train-net" in computed(second) and "train-concept" not in computed(second)
    (answer,) = (output for command, output in said.items() if command.startswith("curl"))
    (prediction,) = json.loads(answer)["predictions"]
    assert prediction["class_names"] in ("circle", "pentagon", "square", "star", "triangle")
    assert "version 2 of shapes" in said["slipway status"]
