"""Places: from the environment and .env, checked, absolute."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings.errors import WrongInput
from settings.places import VARIABLES, Places, read_places


def test_defaults_are_below_the_folder(tmp_path: Path) -> None:
    """Without variables everything is below the working directory and on this machine."""
    places = read_places({}, tmp_path)
    assert places.data_root == tmp_path / "data"
    assert places.mnist_data_dir == tmp_path / "data" / "mnist"
    assert places.notmnist_data_dir == tmp_path / "data" / "notmnist"
    assert places.models_root == tmp_path / "models"
    assert places.mnist_models_dir == tmp_path / "models" / "mnist"
    assert places.dataset_folder is None
    assert (places.backend, places.runner, places.host) == ("local", "local", "127.0.0.1")
    assert (places.stage_port, places.production_port) == (8502, 8501)
    assert places.stage_url == "http://127.0.0.1:8502"
    assert places.production_url == "http://127.0.0.1:8501"


def test_the_file_of_the_token(tmp_path: Path) -> None:
    """Absolute, and no folder; whether there is a token in it, its readers say."""
    assert read_places({}, tmp_path).serving_token_file is None
    places = read_places({"SERVING_TOKEN_FILE": "token"}, tmp_path)
    assert places.serving_token_file == tmp_path / "token"
    for wrong, why in (
        ("", ", not a file"),
        (".", ": a folder, not a file"),
        ("~nobody-here/x", ": .*home"),
        ("x" * 300, ": .*too long"),
    ):
        with pytest.raises(WrongInput, match=f"^environment: SERVING_TOKEN_FILE is '.*{why}"):
            read_places({"SERVING_TOKEN_FILE": wrong}, tmp_path)


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """TensorFlow would find it to be none in the middle of a delivery; a working directory counts too."""
    odd = tmp_path / os.fsdecode(b"m\xfcller")
    message = r"m\\xfcller.* is no text in the locale of this process: rename it, or set LC_ALL=C\.UTF-8"
    with pytest.raises(WrongInput, match=rf"^environment: MODELS_ROOT is .*: .*{message}"):
        read_places({"MODELS_ROOT": str(odd)}, tmp_path)
    with pytest.raises(WrongInput, match=message):
        read_places({}, odd)


def test_every_place_has_a_variable() -> None:
    """The table of variables names each place once."""
    assert sorted(VARIABLES.values()) == sorted(Places.model_fields)


def test_the_environment_is_over_dotenv(tmp_path: Path) -> None:
    """.env is honoured, and the environment is over it, place by place."""
    (tmp_path / ".env").write_text("STAGE_PORT=9001\nPRODUCTION_PORT=9002\nSERVING_HOST=0.0.0.0\n")
    places = read_places({"STAGE_PORT": "9003"}, tmp_path)
    assert (places.stage_port, places.production_port, places.host) == (9003, 9002, "0.0.0.0")


@pytest.mark.parametrize("name", ["notMNIST_DATA_DIR", "NOTMNIST_DATA_DIR"])
def test_not_mnist_is_read_in_its_own_case_and_in_capitals(tmp_path: Path, name: str) -> None:
    """The source project's odd spelling works, and so do capitals."""
    assert read_places({name: "letters"}, tmp_path).notmnist_data_dir == tmp_path / "letters"


def test_other_spellings_are_not_ours(tmp_path: Path) -> None:
    """Lower-case names belong to somebody else."""
    assert read_places({"backend": "x", "notmnist_data_dir": "x"}, tmp_path) == read_places({}, tmp_path)


def test_homes_follow_the_roots_and_the_overrides(tmp_path: Path) -> None:
    """A dataset's home and a model's releases are below the roots unless their own variable is set."""
    places = read_places(
        {"DATA_ROOT": "/d", "MODELS_ROOT": "/m", "MNIST_DATA_DIR": "here", "MNIST_MODELS_DIR": "/r"}, tmp_path
    )
    assert places.dataset_home("mnist") == tmp_path / "here"
    assert places.dataset_home("notmnist-small") == Path("/d/notmnist")
    assert places.dataset_home("notmnist-large") == Path("/d/notmnist")
    assert places.dataset_home("fashion-mnist") == Path("/d/fashion-mnist")
    assert places.release_home("mnist") == Path("/r")
    assert places.release_home("digits") == Path("/m/digits")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sets").mkdir()
    assert read_places({"DATASET_FOLDER": "~/sets"}, tmp_path).dataset_folder == tmp_path / "sets"


@pytest.mark.parametrize(
    ("environ", "lines"),
    [
        (
            {"STAGE_PORT": "65536"},
            ["environment: STAGE_PORT is '65536', not a whole number from 1 to 65,535"],
        ),
        ({"STAGE_PORT": ""}, ["environment: STAGE_PORT is '', not a whole number from 1 to 65,535"]),
        (
            {"BACKEND": "docker"},
            ["environment: BACKEND is 'docker', not one of local, external, kubernetes"],
        ),
        ({"RUNNER": "Local"}, ["environment: RUNNER is 'Local', not one of local, kubernetes"]),
        (
            {"STAGE_URL": "https://stage/"},
            [
                "environment: STAGE_URL is 'https://stage/', not text of the form "
                "^http://[A-Za-z0-9._-]+:[0-9]{1,5}$"
            ],
        ),
        (
            {"STAGE_URL": "http://127.0.0.1:8501"},
            [
                "STAGE_URL (environment: STAGE_URL) and PRODUCTION_URL (default) are both "
                "http://127.0.0.1:8501; they have to differ"
            ],
        ),
        (
            {"SERVING_HOST": "http://x/"},
            ["environment: SERVING_HOST is 'http://x/', not text of the form ^[A-Za-z0-9.:_-]+$"],
        ),
        ({"DATA_ROOT": " "}, ["environment: DATA_ROOT is ' ', not a folder"]),
        ({"DATA_ROOT": "file"}, ["environment: DATA_ROOT is 'file': a file, not a folder"]),
        ({"DATASET_FOLDER": "file"}, ["environment: DATASET_FOLDER is 'file': a file, not a folder"]),
        (
            {"DATASET_FOLDER": "/no/such"},
            ["environment: DATASET_FOLDER is '/no/such': there is no folder /no/such"],
        ),
        (
            {"DATA_ROOT": "~no-such-user/x"},
            ["environment: DATA_ROOT is '~no-such-user/x': Could not determine home directory."],
        ),
        (
            {"MODELS_ROOT": "x" * 5_000},
            [f"environment: MODELS_ROOT is '{'x' * 79}…: File name too long"],
        ),
        (
            {"STAGE_PORT": "8501"},
            [
                "STAGE_PORT (environment: STAGE_PORT) and PRODUCTION_PORT (default) are both 8501; "
                "they have to differ"
            ],
        ),
    ],
)
def test_a_wrong_place_is_one_clear_line(
    tmp_path: Path, environ: Mapping[str, str], lines: list[str]
) -> None:
    """A wrong place is said with its variable, value and what is allowed."""
    (tmp_path / "file").touch()
    with pytest.raises(WrongInput) as raised:
        read_places(environ, tmp_path)
    assert str(raised.value).splitlines() == lines


def test_a_default_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A file in the way of a default folder is said with the place's name."""
    (tmp_path / "models").touch()
    with pytest.raises(WrongInput, match=r"^models_root: a file, not a folder$"):
        read_places({}, tmp_path)


def test_a_stage_variable_does_not_disturb_places(tmp_path: Path) -> None:
    """Commands that need places alone do not judge hyperparameters."""
    assert read_places({"CLASSIFIER__STEPZ": "3"}, tmp_path).stage_port == 8502


def test_places_are_frozen(tmp_path: Path) -> None:
    """Places are read once and never changed."""
    places = read_places({}, tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        places.stage_port = 1  # type: ignore[misc]
