"""Where a delivery happens: folders, hosts, ports and backend of the running process.

Places come from the environment and .env alone and are never a parameter of the flow: an edit in the UI must
not make a pod deliver into itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from settings.allowed import A_FILE
from settings.given import Given, refuse, validated
from settings.variables import VARIABLES_FILE, read_dotenv


def _absolute(path: Path | None, info: ValidationInfo) -> Path | None:
    if path is None:
        return None
    folder: Path = (info.context or {}).get("folder") or Path.cwd()
    try:
        path = folder.absolute() / path.expanduser()
    except RuntimeError as error:  # ~name of a user that is not there
        raise ValueError(str(error)) from error
    _check_text(path)
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError as error:  # a name that is too long, a folder that is closed to this user
        raise ValueError(error.strerror or str(error)) from error
    if is_file:
        raise ValueError("a file, not a folder")
    return path


def _check_text(path: Path) -> None:
    """Refuse a path that holds bytes which are no text in this locale: TensorFlow opens no such file."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise ValueError(
            f"{shown} is no text in the locale of this process: rename it, or set LC_ALL=C.UTF-8"
        ) from error


def _there(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise ValueError(f"there is no folder {path}")
    return path


def _absolute_file(path: Path | None, info: ValidationInfo) -> Path | None:
    if path is None:
        return None
    folder: Path = (info.context or {}).get("folder") or Path.cwd()
    try:
        path = folder.absolute() / path.expanduser()
        if path.is_dir():
            raise ValueError("a folder, not a file")
    except (OSError, RuntimeError) as error:  # a name that is too long; ~name of a user that is not there
        raise ValueError(getattr(error, "strerror", None) or str(error)) from error
    return path


Folder = Annotated[Path, AfterValidator(_absolute)]
PresentFolder = Annotated[Path | None, AfterValidator(_absolute), AfterValidator(_there)]
OptionalFile = Annotated[Path | None, AfterValidator(_absolute_file), A_FILE]
Port = Annotated[int, Field(ge=1, le=65_535)]
Url = Annotated[str, Field(pattern=r"^http://[A-Za-z0-9._-]+:[0-9]{1,5}$")]
Runner = Literal["local", "kubernetes"]


class Places(BaseModel):
    """The places of one process; folders are absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    data_root: Folder = Field(Path("data"), description="datasets: downloads, decoded arrays, fonts")
    models_root: Folder = Field(Path("models"), description="artifacts, releases, receipts, channels")
    mnist_data_dir: Folder = Field(
        default_factory=lambda data: data["data_root"] / "mnist",
        description="the folder of mnist; if not set, mnist below DATA_ROOT",
    )
    notmnist_data_dir: Folder = Field(
        default_factory=lambda data: data["data_root"] / "notmnist",
        description="the folder of notMNIST, small and large; if not set, notmnist below DATA_ROOT",
    )
    mnist_models_dir: Folder = Field(
        default_factory=lambda data: data["models_root"] / "mnist",
        description="the releases of the model named mnist; if not set, mnist below MODELS_ROOT",
    )
    dataset_folder: PresentFolder = Field(
        None, description="a folder with published files of datasets, searched before the network"
    )
    backend: Literal["local", "external", "kubernetes"] = Field(
        "local",
        description="where the channels are served: by processes that a delivery starts on this machine, by "
        "servers that somebody else keeps running (docker/compose.yaml), or by Deployments",
    )
    runner: Runner = Field(
        "local",
        description="where the networks are trained: in the process of the run, or each in a pod of its own",
    )
    namespace: str = Field(
        "",
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",
        description="the Kubernetes namespace of the channels; if not set, that of the pod",
    )
    rollout_seconds: float = Field(
        180.0,
        ge=1,
        description="within which a channel in a cluster has to serve: a node may have to pull its image",
    )
    host: str = Field(
        "127.0.0.1",
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="the address that the local servers listen on",
    )
    stage_port: Port = Field(
        8502,
        description="the port of the local stage; if not set, each model keeps one of its own, this or the "
        "next free one from 8503",
    )
    production_port: Port = Field(
        8501,
        description="the port of local production; if not set, each model keeps one of its own, this or the "
        "next free one from 8504",
    )
    stage_url: Url = Field("http://127.0.0.1:8502", description="where an external stage answers")
    production_url: Url = Field("http://127.0.0.1:8501", description="where external production answers")

    serving_token_file: OptionalFile = Field(
        None,
        description="a file with a token; if set, the servers of both channels ask for it, except for health "
        "and metrics",
    )

    @property
    def given_ports(self) -> dict[Literal["stage", "production"], int]:
        """The local ports that a source gave, by channel; a default is none."""
        ports: dict[Literal["stage", "production"], int] = {}
        if "stage_port" in self.model_fields_set:
            ports["stage"] = self.stage_port
        if "production_port" in self.model_fields_set:
            ports["production"] = self.production_port
        return ports

    def dataset_home(self, name: str) -> Path:
        """The folder of a dataset of the catalogue: its downloads and local files."""
        if name == "mnist":
            return self.mnist_data_dir
        if name.startswith("notmnist"):
            return self.notmnist_data_dir
        return self.data_root / name

    def release_home(self, name: str) -> Path:
        """The folder with the promoted versions of the model of that name."""
        return self.mnist_models_dir if name == "mnist" else self.models_root / name


VARIABLES: Mapping[str, str] = {
    "DATA_ROOT": "data_root",
    "MODELS_ROOT": "models_root",
    "MNIST_DATA_DIR": "mnist_data_dir",
    "notMNIST_DATA_DIR": "notmnist_data_dir",
    "MNIST_MODELS_DIR": "mnist_models_dir",
    "DATASET_FOLDER": "dataset_folder",
    "BACKEND": "backend",
    "RUNNER": "runner",
    "NAMESPACE": "namespace",
    "ROLLOUT_SECONDS": "rollout_seconds",
    "SERVING_HOST": "host",
    "STAGE_PORT": "stage_port",
    "PRODUCTION_PORT": "production_port",
    "STAGE_URL": "stage_url",
    "PRODUCTION_URL": "production_url",
    "SERVING_TOKEN_FILE": "serving_token_file",
}
"""The variable of each place; notMNIST_DATA_DIR may be written NOTMNIST_DATA_DIR too."""

APART = (
    ("stage_port", "production_port"),
    ("stage_url", "production_url"),
)  # one server cannot be both channels


def place_hint(name: str) -> str:
    """Which variable sets the place that an unknown name of a hyperparameter means; empty if none does."""
    wanted = name.upper().replace("-", "_")
    for variable, field in VARIABLES.items():
        if wanted in (variable.upper(), field.upper()):
            return f"it is a place: set the variable {variable}"
    return ""


def read_places(environ: Mapping[str, str], folder: Path) -> Places:
    """The places of the environment, over those of the .env file in the folder, over the defaults.

    Relative folders are taken from `folder`. Raises WrongInput with a line for each problem.
    """
    problems: list[str] = []
    dotenv = read_dotenv(folder, problems)
    places = resolve_places(environ, dotenv, folder, problems)
    if places is None or problems:
        refuse(problems)
    return places


def resolve_places(
    environ: Mapping[str, str], dotenv: Mapping[str, str | None], folder: Path, problems: list[str]
) -> Places | None:
    """The places that the variables give; None, and a line per problem is added, where they are wrong."""
    given: dict[str, Given] = {}
    for label, variables in ((VARIABLES_FILE, dotenv), ("environment", environ)):
        for variable, field in VARIABLES.items():
            for written in (variable.upper(), variable):
                if written in variables:
                    given[field] = Given(field, variables[written] or "", f"{label}: {written}")
    places = validated(Places, given, problems, context={"folder": folder})
    if places is None:
        return None
    alike = [pair for pair in APART if getattr(places, pair[0]) == getattr(places, pair[1])]
    for pair in alike:
        said = [f"{field.upper()} ({given[field].origin if field in given else 'default'})" for field in pair]
        problems.append(f"{said[0]} and {said[1]} are both {getattr(places, pair[0])}; they have to differ")
    return None if alike else places
