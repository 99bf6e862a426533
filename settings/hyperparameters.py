"""Every hyperparameter of every stage: the parameters of the flow, one model per stage.

Places (folders, ports, hosts) are not here: see places.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Bound = Annotated[str, Field(pattern=r"^[a-z0-9-]+=(0(\.[0-9]+)?|1(\.0+)?)$")]  # of a set: blank=0.99
Rate = Annotated[float, Field(gt=0, lt=1)]


class Stage(BaseModel):
    """The hyperparameters of one stage; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


OUTLIERS = ("notmnist-small", "fashion-mnist", "glyphs")


class DataSettings(Stage):
    """Which datasets are trained on and judged with."""

    train: str = Field("mnist", description="the dataset that the model is trained on and tested with")
    outliers: tuple[str, ...] = Field(
        OUTLIERS,
        min_length=1,
        description="outlier sets in order of preference: the first that can be had is the primary one; "
        "where none is named, the default without the training set",
    )
    require_primary: bool = Field(
        False,
        description="end before training where the first outlier set cannot be had; else judge on the next",
    )
    made: tuple[str, ...] = Field(
        ("dimmed", "blank", "noise", "rotated", "mirrored"),
        description="made outlier sets that are measured besides",
    )
    held_out: int = Field(
        5_000,
        ge=100,
        le=30_000,
        description="training images that no weight sees: the threshold is set on them",
    )
    limit: int = Field(
        0, ge=0, description="use only the first so many images of each split (0: all), for a quick look"
    )

    @model_validator(mode="before")
    @classmethod
    def default_outliers_leave_out_the_training_set(cls, given: Any) -> Any:
        """Let `--data.train fashion-mnist` be enough."""
        if not isinstance(given, dict) or "outliers" in given or given.get("train") not in OUTLIERS:
            return given
        return given | {"outliers": tuple(name for name in OUTLIERS if name != given["train"])}

    @field_validator("outliers", "made")
    @classmethod
    def each_name_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a name that is given twice."""
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"{', '.join(twice)} is named more than once")
        return names


class ClassifierSettings(Stage):
    """The classifier: 784-256-64-10, ReLU, softmax cross-entropy, Adam."""

    steps: int = Field(2_000, ge=1, le=1_000_000, description="training steps")
    batch_size: int = Field(256, ge=1, le=8_192, description="images per training step")
    learning_rate: float = Field(4e-3, gt=0, le=1, description="highest learning rate of the schedule")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="how the learning rate goes")
    hidden_1: int = Field(256, ge=1, le=8_192, description="units of the first hidden layer")
    hidden_2: int = Field(64, ge=1, le=8_192, description="units of the second hidden layer")
    initial_weights: Literal["glorot", "he", "normal"] = Field(
        "he", description="distribution of the initial weights; normal is N(0, 1)"
    )
    label_smoothing: float = Field(
        0.1, ge=0, le=0.9, description="share of each label spread over all classes in training"
    )
    shift: int = Field(
        1, ge=0, le=4, description="pixels by which training moves the images at most, either way"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description=(
            "type of the matrix products in training, which decides the weights; auto is bfloat16 where the "
            "processor has instructions for it, else float32"
        ),
    )
    display_steps: int = Field(500, ge=1, description="steps between two lines of progress")
    checkpoint_seconds: float = Field(10.0, gt=0, description="seconds between two checkpoints")
    seed: Seed = Field(1, description="seed of the initial weights and of the order of the images")


class ConceptSettings(Stage):
    """The concept: an autoencoder whose reconstruction error says how far an image is from the data."""

    steps: int = Field(3_000, ge=1, le=1_000_000, description="training steps")
    batch_size: int = Field(256, ge=1, le=8_192, description="images per training step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="highest learning rate of the schedule")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="how the learning rate goes")
    hidden: int = Field(256, ge=1, le=8_192, description="units of the layers beside the bottleneck")
    bottleneck: int = Field(128, ge=1, le=8_192, description="units of the bottleneck")
    activation: Literal["relu", "sigmoid"] = Field("relu", description="activation of the hidden layers")
    initial_weights: Literal["glorot", "he", "normal"] = Field(
        "glorot", description="distribution of the initial weights; normal is N(0, 1)"
    )
    corruption: float = Field(
        0.4, ge=0, le=0.9, description="share of each image covered with patches of another one in training"
    )
    score: Literal["coarse", "normalised", "error"] = Field(
        "coarse",
        description=(
            "the score: error of reconstruction seen through a 3 x 3 mean over the image's variance, "
            "error over variance, or the plain error"
        ),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description=(
            "type of the matrix products in training, which decides the weights; auto is bfloat16 where the "
            "processor has instructions for it, else float32"
        ),
    )
    display_steps: int = Field(500, ge=1, description="steps between two lines of progress")
    checkpoint_seconds: float = Field(10.0, gt=0, description="seconds between two checkpoints")
    seed: Seed = Field(1, description="seed of the initial weights and of the order of the images")


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
