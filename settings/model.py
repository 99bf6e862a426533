"""What a model is made of: the rows and classes of its data, its networks, its defaults.

A user's module defines one `Model` as `model`. Light to import: pydantic alone.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from settings.errors import WrongInput


class Description(BaseModel):
    """What the rows of a dataset are: an array each, of any rank, and of one of some classes.

    Rows are kept as they were read, in `dtype` from `low` to `high`; a model gets float32: uint8 divided by
    255, anything else as it is.
    """

    model_config = ConfigDict(frozen=True)

    shape: tuple[int, ...] = Field(description="of one row")
    classes: tuple[str, ...] = Field((), description="by label; none where the rows have no labels")
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0

    @property
    def size(self) -> int:
        """How many values a row has."""
        return math.prod(self.shape)

    @property
    def names_classes(self) -> bool:
        """Whether the classes have names, and are not just counted."""
        return self.classes != tuple(map(str, range(len(self.classes))))

    @property
    def model_range(self) -> tuple[float, float]:
        """From where to where the values go that a model gets."""
        return (0.0, 1.0) if self.dtype == "uint8" else (self.low, self.high)


class Stage(BaseModel):
    """The hyperparameters of one stage; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Decides:
    """What a setting of a network decides, where that is not its weights; as metadata of the field."""

    what: Literal["the release", "nothing"]


AT_EXPORT = Decides("the release")
"""Of a setting that is first used when the network is exported: the weights are the same."""
NOT_IN_RESULT = Decides("nothing")
"""Of a setting that is about the way to the result alone."""

Steps = Annotated[int, Field(ge=1, le=1_000_000, description="training steps")]
BatchSize = Annotated[int, Field(ge=1, le=8_192, description="rows per training step")]
LearningRate = Annotated[float, Field(gt=0, le=1, description="highest learning rate of the schedule")]
Schedule = Annotated[Literal["cosine", "constant"], Field(description="how the learning rate goes")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Training(Stage):
    """The hyperparameters that every network has; a network's own are fields of a class derived from this.

    Each field needs a description, and bounds where it is a number. All of them are part of the key of the
    training, by which it is done again, but those that are marked AT_EXPORT or NOT_IN_RESULT.
    """

    steps: Steps = 2_000
    batch_size: BatchSize = 256
    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "cosine"
    display_steps: int = Field(500, ge=1, description="steps between two lines of progress")
    checkpoint_seconds: Annotated[
        float, Field(gt=0, description="seconds between two checkpoints"), NOT_IN_RESULT
    ] = 10.0
    seed: Annotated[
        Seed, Field(description="seed of the initial weights and of the order of the training rows")
    ] = 1


UNBOUNDED = ("display_steps", "checkpoint_seconds")  # of Training: none of them does harm however high it is

Role = Literal["classifier", "autoencoder", "score"]


@dataclass(frozen=True)
class Network:
    """One network of a model: what it is for, its settings, and how it is built.

    `build` gives, for settings and the data's description, a Keras model or a `Trainable` of
    tasks/models/trainable.py. It and what it calls import TensorFlow and Keras inside of functions. By its
    role, the network's output for rows (N, ...) is

    - `classifier`: logits (N, classes); the loss is the softmax cross-entropy.
    - `autoencoder`: the rows as it restores them; the loss is the mean squared error, and the score that says
      how far a row is from the training data is the share of the row that is not restored.
    - `score`: anything by which a row is scored; it needs a `loss` of its own, and a `score` where it is not
      that score itself, (N,).

    `loss` takes the output, the rows and the labels of a batch and gives a scalar; `score` takes rows and the
    output and gives a score for each row, higher for what is further from the data.
    """

    name: str
    role: Role
    settings: type[Training]
    build: Callable[[Any, Description], Any]
    loss: Callable[[Any, Any, Any], Any] | None = None
    score: Callable[[Any, Any], Any] | None = None
    side_by_side: bool = False  # a step has two chains of operations: a thread for each beats one with two


@dataclass(frozen=True)
class SetFrom:
    """Where a set that the model brings comes from: a path or an address, as `slipway data add` takes it.

    A path is relative to the model's module. Or `arrays`, a function of the module, gives what an .npz file
    would hold: x_train, y_train, x_test, y_test and, where the classes have names, class_names; the same each
    time.
    """

    path: str = ""
    sha256: str = ""  # of the file at an address
    test_share: float | None = None
    outliers: bool = False  # without classes
    arrays: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class OwnGate:
    """A gate that the model adds to those of the judging: a figure, and between what it has to be.

    `measure` takes what the endpoint answered, arrays by set (`test`, and the outlier sets by name) and
    output, and the labels of the test rows; it imports what is slow inside of the function. `needs` names
    outputs without which the gate is not applicable.
    """

    name: str
    measure: Callable[[Mapping[str, Mapping[str, Any]], Any], float]
    minimum: float | None = None
    maximum: float | None = None
    needs: tuple[str, ...] = ()


STAGES = ("data", "judging", "serving", "reporting", "training")
OPTIONS = ("until", "force", "why", "model", "config", "help")
ARTIFACTS = ("dataset", "release", "scores", "verdict")
SIGNATURES = ("serving_default", "infer", "reconstruct")
MODULE = ("name", "variables", "trainable_variables", "non_trainable_variables", "submodules")  # of tf.Module
TAKEN = {
    **dict.fromkeys(STAGES, "a stage"),
    **dict.fromkeys(OPTIONS, "an option of a delivery"),
    **dict.fromkeys(ARTIFACTS, "something else in the store"),
    **dict.fromkeys((*SIGNATURES, *MODULE, "name_scope", "with_name_scope"), "something else in a release"),
    "threshold": "something else in a release",
}
"""What no network may be called, and why."""

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""A name of a network or of its settings: in a variable, two _ part the one from the other."""
GATES = (
    "finite",
    "leak",
    "accuracy",
    "auroc",
    "trivial-detectors",
    "flagged-share",
    "endpoint-parity",
    "litert-parity",
    "champion",
    "latency",
)
"""The gates of every model, whose names no gate of a model's own can have."""

GATE_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
IS_A_NAME = "of small letters and digits, with single _ between"


@dataclass(frozen=True)
class Model:
    """A model that can be delivered: its name, its networks, and its defaults of the stages.

    `defaults` are by dotted name (`data.train`), and below every other source of settings. `inputs` is what
    the rows are called in requests. `sets` are datasets that the model brings, by the names that settings
    give. `signatures` are functions that the release answers by, beside its own: each takes the networks,
    functions of rows by name, and the rows, and gives tensors of N rows by name. Raises WrongInput where the
    parts do not fit.
    """

    name: str
    networks: tuple[Network, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = "rows"
    sets: Mapping[str, SetFrom] = field(default_factory=dict)
    gates: tuple[OwnGate, ...] = ()
    signatures: Mapping[str, Callable[[Mapping[str, Callable[[Any], Any]], Any], dict[str, Any]]] = field(
        default_factory=dict
    )
    source: Path | None = None  # the file of the module that defines it; None for the built-in one

    def __post_init__(self) -> None:
        names = [network.name for network in self.networks]
        for name in names:
            if not NAME.fullmatch(name) or keyword.iskeyword(name):
                raise WrongInput(f"the network {name!r}: a name is {IS_A_NAME}")
            if name in TAKEN:
                raise WrongInput(f"no network can be called {name!r}: that is {TAKEN[name]}")
            if names.count(name) > 1:
                raise WrongInput(f"two networks are called {name!r}")
        roles = [network.role for network in self.networks]
        for network in self.networks:
            if network.role not in get_args(Role):
                known = ", ".join(get_args(Role))
                raise WrongInput(
                    f"the network {network.name} is a {network.role!r}: its role is one of {known}"
                )
        if roles.count("classifier") != 1:
            raise WrongInput(f"the model {self.name} has {roles.count('classifier')} classifiers, not one")
        if len(roles) - 1 > 1:
            raise WrongInput(
                f"the model {self.name} has {len(roles) - 1} networks that score, at most one can be"
            )
        for network in self.networks:
            if network.role == "score" and network.loss is None:
                raise WrongInput(f"the network {network.name} scores, and has no loss: give one")
            _check_fields(network)
        if not self.inputs.isidentifier() or keyword.iskeyword(self.inputs):
            raise WrongInput(f"the inputs {self.inputs!r}: the rows' name in requests is a name as of Python")
        for name in self.signatures:
            if not NAME.fullmatch(name) or keyword.iskeyword(name):
                raise WrongInput(f"the signature {name!r}: a name is {IS_A_NAME}")
            if name in TAKEN or name in names:
                what = TAKEN.get(name, "a network")
                raise WrongInput(f"no signature can be called {name!r}: that is {what}")
        gates = [gate.name for gate in self.gates]
        for name in gates:
            if name in GATES or gates.count(name) > 1 or not GATE_NAME.fullmatch(name):
                raise WrongInput(
                    f"no gate can be called {name!r}: a name is of small letters, digits and -, and of one "
                    "gate alone"
                )

    @property
    def classifier(self) -> Network:
        """The network that classifies."""
        return next(network for network in self.networks if network.role == "classifier")

    @property
    def scorer(self) -> Network | None:
        """The network that says how far a row is from the training data, if there is one."""
        return next((network for network in self.networks if network.role != "classifier"), None)


def _check_fields(network: Network) -> None:
    """Refuse a setting that nobody could set rightly by its help alone: without a description, or bounds."""
    settings: Any = network.settings
    if not (isinstance(settings, type) and issubclass(settings, Training)):
        raise WrongInput(
            f"the settings of {network.name} are no class that derives from settings.model.Training"
        )
    for name, each in settings.model_fields.items():
        said = f"the setting {network.name}.{name}"
        if not NAME.fullmatch(name):
            raise WrongInput(f"{said}: a name is {IS_A_NAME}")
        if each.is_required():
            raise WrongInput(f"{said} has no default: give it one")
        if not each.description:
            raise WrongInput(f"{said} has no description: give it one (Field(…, description=…))")
        kind = get_origin(each.annotation) or each.annotation
        words = all(isinstance(choice, str) for choice in get_args(each.annotation))
        texts = get_args(each.annotation)[1:] == (...,) and _is_text(get_args(each.annotation)[0])
        if kind not in (bool, int, float, str) and not (
            (kind is Literal and words) or (kind is tuple and texts)
        ):
            raise WrongInput(
                f"{said} is a {getattr(kind, '__name__', kind)}: a setting is a bool, int, float, str, "
                "Literal of texts or tuple[str, ...], as it is written on a command line"
            )
        bounds = {type(rule) for rule in each.metadata}
        bounded = bounds & {Ge, Gt} and bounds & {Le, Lt}
        if kind in (int, float) and not bounded and name not in UNBOUNDED:
            raise WrongInput(f"{said} has no bounds: give it a lowest and a highest value (ge=…, le=…)")
    try:
        settings.model_validate(settings().model_dump())
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        name = ".".join(map(str, first["loc"])) or "?"
        raise WrongInput(
            f"the default of the setting {network.name}.{name} is {first['input']!r}: {first['msg']}"
        ) from error


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Annotated and get_args(kind)[0] is str)
