"""Every hyperparameter of every stage: the parameters of the flow, one model per stage.

Places (folders, ports, hosts) are not here: see places.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from settings.errors import WrongInput
from settings.model import AT_EXPORT, LearningRate, Seed, Stage, Steps, Training

Bound = Annotated[str, Field(pattern=r"^[a-z0-9-]+=(0(\.[0-9]+)?|1(\.0+)?)$")]  # of a set: blank=0.99
Rate = Annotated[float, Field(gt=0, lt=1)]

OUTLIERS = ("notmnist-small", "fashion-mnist", "glyphs")  # of a training set of the catalogue
TRAINABLE = ("mnist", "fashion-mnist")  # of the catalogue
MADE = ("dimmed", "blank", "noise", "rotated", "mirrored")
AS_IS = "as-is"
SHUFFLED = "shuffled"  # the made set that is the primary one where no outlier set is named
LEFT_OUT = "left-out"  # the outlier set of the classes of data.leave_out

MOST_HELD_OUT = 5_000
LEAST_HELD_OUT = 50


def default_outliers(train: str) -> tuple[str, ...]:
    """Give the outlier sets of a training set where none are named: none for a set of one's own."""
    return tuple(name for name in OUTLIERS if name != train) if train in TRAINABLE else ()


class DataSettings(Stage):
    """Which datasets are trained on and judged with."""

    train: str = Field(
        "mnist",
        description="the dataset that the model is trained on and tested with: mnist, fashion-mnist, or one "
        "of your own (slipway data add)",
    )
    shape: str = Field(
        AS_IS,
        pattern=rf"^({AS_IS}|[1-9][0-9]{{0,3}}x[1-9][0-9]{{0,3}}(x[13])?)$",
        description="height x width, or height x width x channels, that pictures of your own sets are "
        "brought to, as 32x32 or 32x32x3: scaled to fit with their proportions kept, centred, the rest "
        "filled with the mean of their border; as-is: they stay as they are",
    )
    leave_out: tuple[str, ...] = Field(
        (),
        description="classes taken out of training and test; their test rows are the outlier set left-out, "
        "the first one unless data.outliers is given",
    )
    outliers: tuple[str, ...] = Field(
        OUTLIERS,
        description="outlier sets in order of preference: the first that can be had is the primary one; "
        "where none is named, the default without the training set, and none for a set of your own: made "
        "ones serve then, first the test rows with their values shuffled",
    )
    require_primary: bool = Field(
        False,
        description="end before training where the first outlier set cannot be had; else judge on the next",
    )
    made: tuple[str, ...] = Field(
        MADE,
        description="made outlier sets that are measured besides; of the default, those that the rows have a "
        "form for",
    )
    held_out: int = Field(
        0,
        ge=0,
        le=30_000,
        description="training rows that no weight sees: the threshold is set on them (0: a twelfth of the "
        f"rows, at least {LEAST_HELD_OUT} and at most {MOST_HELD_OUT:,})",
    )
    limit: int = Field(
        0, ge=0, description="use only the first so many rows of each split (0: all), for a quick look"
    )

    @model_validator(mode="before")
    @classmethod
    def default_outliers_leave_out_the_training_set(cls, given: Any) -> Any:
        """Let `--data.train fashion-mnist` be enough."""
        if not isinstance(given, dict) or "outliers" in given or not isinstance(given.get("train"), str):
            return given
        outliers = default_outliers(given["train"])
        return given if outliers == OUTLIERS else given | {"outliers": outliers}

    @field_validator("outliers", "made", "leave_out")
    @classmethod
    def each_name_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a name that is given twice."""
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"{', '.join(twice)} is named more than once")
        return names

    @field_validator("held_out")
    @classmethod
    def holds_out_enough_for_a_threshold(cls, rows: int) -> int:
        """Refuse a threshold on a handful of rows."""
        if 0 < rows < LEAST_HELD_OUT:
            raise ValueError(f"0 or at least {LEAST_HELD_OUT}: a threshold on fewer rows says nothing")
        return rows

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape that pictures are brought to; None: they stay as they are."""
        return tuple(map(int, self.shape.split("x"))) if self.shape != AS_IS else None

    @property
    def names_outliers(self) -> bool:
        """Whether the outlier sets are others than the default ones."""
        return self.outliers != default_outliers(self.train)

    @property
    def names_made(self) -> bool:
        """Whether the made sets are others than the default ones."""
        return self.made != MADE

    @property
    def judged_on(self) -> tuple[str, ...]:
        """The names of all outlier sets that are wanted, in order of preference as the primary one."""
        left_out = (LEFT_OUT,) if self.leave_out else ()
        real = (*self.outliers, *left_out) if self.names_outliers else (*left_out, *self.outliers)
        shuffled = () if self.outliers else (SHUFFLED,)
        return tuple(dict.fromkeys((*real, *shuffled, *self.made)))


def held_out_rows(data: DataSettings, rows: int) -> int:
    """Give how many of so many training rows are held out, the last ones of those that are used.

    Where the setting does not say it, a twelfth of them, which are 5,000 of MNIST's 60,000, and never more
    than half. Raises WrongInput where none would be left to train on.
    """
    used = min(data.limit or rows, rows)
    if data.held_out:
        if data.held_out >= used:
            raise WrongInput(
                f"data.held_out={data.held_out} leaves no row to train on: {used:,} training rows are used"
            )
        return data.held_out
    return min(max(LEAST_HELD_OUT, min(MOST_HELD_OUT, used // 12)), used // 2)


Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(
        description="type of the matrix products in training, which decides the weights; auto is bfloat16 "
        "where the processor has instructions for it, else float32"
    ),
]
InitialWeights = Annotated[
    Literal["glorot", "he", "normal"],
    Field(description="distribution of the initial weights; normal is N(0, 1)"),
]


class ClassifierSettings(Training):
    """The classifier: two hidden layers (784-256-64-10 for MNIST), ReLU, softmax cross-entropy, Adam."""

    learning_rate: LearningRate = 4e-3
    hidden_1: int = Field(256, ge=1, le=8_192, description="units of the first hidden layer")
    hidden_2: int = Field(64, ge=1, le=8_192, description="units of the second hidden layer")
    initial_weights: InitialWeights = "he"
    label_smoothing: float = Field(
        0.1, ge=0, le=0.9, description="share of each label spread over all classes in training"
    )
    shift: int = Field(
        1, ge=0, le=4, description="pixels by which training moves the images at most, either way"
    )
    precision: Precision = "auto"


class ConceptSettings(Training):
    """The concept: an autoencoder whose reconstruction error says how far a row is from the data."""

    steps: Steps = 3_000
    learning_rate: LearningRate = 3e-3
    hidden: int = Field(256, ge=1, le=8_192, description="units of the layers beside the bottleneck")
    bottleneck: int = Field(128, ge=1, le=8_192, description="units of the bottleneck")
    activation: Literal["relu", "sigmoid"] = Field("relu", description="activation of the hidden layers")
    initial_weights: InitialWeights = "glorot"
    corruption: float = Field(
        0.4, ge=0, le=0.9, description="share of each row covered with patches of another one in training"
    )
    score: Annotated[
        Literal["coarse", "normalised", "error"],
        Field(
            description="the score: error of reconstruction seen through a 3 x 3 mean over the row's "
            "variance, error over variance, or the plain error"
        ),
        AT_EXPORT,
    ] = "coarse"
    precision: Precision = "auto"


class JudgingSettings(Stage):
    """What a candidate has to reach before it is promoted."""

    min_accuracy: float = Field(0.98, ge=0, le=1, description="gate: lowest accuracy on test images (0: off)")
    min_auroc: float = Field(
        0.9995,
        ge=0,
        le=1,
        description="gate: lowest AUROC against the primary outlier set (0: off)",
    )
    min_auroc_by_set: tuple[Bound, ...] = Field(
        (),
        description="gate: lowest AUROC against single sets; of the primary one, in place of the one above",
    )
    trivial_detectors: bool = Field(
        True, description="gate: no trivial detector is surely better than the concept on the primary set"
    )
    false_positive_rate: Rate = Field(
        0.01, description="share of in-distribution images that the threshold may flag"
    )
    min_flagged_ratio: float = Field(
        0.5, ge=0, description="gate: lowest share of test images flagged, over the asked-for rate"
    )
    max_flagged_ratio: float = Field(
        2.0, gt=0, description="gate: highest share of test images flagged, over the asked-for rate"
    )
    parity_rtol: float = Field(
        1e-4,
        ge=0,
        description=(
            "gate: tolerance of the served outputs, as a share of the value and of the output's scale, "
            "which the export measures"
        ),
    )
    champion: bool = Field(
        True,
        description="gate: neither surely worse than production and the best of before, nor by a margin",
    )
    champion_margin: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how much lower the accuracy may be than theirs (0: as much as chance may do)",
    )
    champion_auroc_margin: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how much lower the AUROC may be than theirs (0: as much as chance may do)",
    )
    max_latency_ms: float = Field(
        0.0,
        ge=0,
        description=(
            "gate: highest median latency at batch 1 in milliseconds (0: recorded only); with a limit, "
            "another kind of machine judges anew"
        ),
    )

    @property
    def auroc_bounds(self) -> dict[str, float]:
        """The lowest AUROC of each set that has one of its own."""
        bounds = (bound.partition("=") for bound in self.min_auroc_by_set)
        return {name: float(number) for name, _, number in bounds}

    confidence: Rate = Field(0.95, description="level of the intervals")
    bootstrap_rounds: int = Field(1_000, ge=10, le=100_000, description="rounds of the bootstrap")
    request_images: int = Field(250, ge=1, le=10_000, description="images in one request to the endpoint")
    seed: Seed = Field(1, description="seed of the bootstrap")


NAME = r"^[a-z][a-z0-9-]{0,39}$"
RESERVED = ("candidates", "channels", "checkpoints", "lock", "receipts", "records", "store")


class ServingSettings(Stage):
    """How the model is served."""

    name: str = Field("mnist", pattern=NAME, description="name of the model in addresses and folders")

    @field_validator("name")
    @classmethod
    def is_no_folder_of_ours(cls, name: str) -> str:
        """Refuse a name whose folder below MODELS_ROOT is something else's."""
        if name in RESERVED:
            raise ValueError(f"one of {', '.join(RESERVED)}, which are folders of the models' root")
        return name

    keep_versions: int = Field(
        0,
        ge=0,
        description=(
            "versions that stay when a delivery ends, of the promoted ones and of the candidates, as with "
            "slipway prune --keep (0: all)"
        ),
    )
    runtime: Literal["litert", "tensorflow"] = Field(
        "litert", description="what computes the answers: LiteRT is quicker and smaller"
    )
    max_request_mib: int = Field(32, ge=1, le=1_024, description="largest request body in MiB")
    max_images: int = Field(10_000, ge=32, le=1_000_000, description="most images in one request")
