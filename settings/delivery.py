"""A whole delivery: the hyperparameters of every stage together, and what must hold between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from settings.errors import WrongInput
from settings.hyperparameters import DataSettings, JudgingSettings, ServingSettings
from settings.model import Model, Stage, Training

S = TypeVar("S", bound=Stage)


@dataclass(frozen=True)
class Delivery:
    """The hyperparameters of a delivery: those of each stage, and of each network by its name."""

    data: DataSettings
    networks: Mapping[str, Training]
    judging: JudgingSettings
    serving: ServingSettings

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in their order: the parameters of the flow."""
        return {"data": self.data, **self.networks, "judging": self.judging, "serving": self.serving}

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Give all hyperparameters as JSON, by stage."""
        return {name: stage.model_dump(mode="json") for name, stage in self.stages.items()}


@dataclass(frozen=True)
class Parameters:
    """What can be set for a delivery of a model, with the defaults that the model gives to the stages."""

    model: Model

    @cached_property
    def stages(self) -> dict[str, type[Stage]]:
        """The settings of each stage by its name, in the order of the stages.

        Raises WrongInput for a default of the model that no stage takes.
        """
        defaults: dict[str, dict[str, Any]] = {"serving": {"name": self.model.name}}
        for name, value in self.model.defaults.items():
            stage, _, leaf = name.partition(".")
            defaults.setdefault(stage, {})[leaf] = value
        classes: dict[str, type[Stage]] = {
            "data": DataSettings,
            **{network.name: network.settings for network in self.model.networks},
            "judging": JudgingSettings,
            "serving": ServingSettings,
        }
        for name in defaults.keys() - classes.keys():
            raise WrongInput(f"defaults of the model {self.model.name} name {name}: there is no such stage")
        return {
            name: with_defaults(
                stage, defaults.get(name, {}), f"defaults of the model {self.model.name}: {name}"
            )
            for name, stage in classes.items()
        }

    @cached_property
    def fields(self) -> dict[str, FieldInfo]:
        """Every hyperparameter by its dotted name (`classifier.steps`), in the order of the stages."""
        return {
            f"{stage}.{name}": field
            for stage, model in self.stages.items()
            for name, field in model.model_fields.items()
        }

    def delivery(self, stages: Mapping[str, Any] | None = None) -> Delivery:
        """Give a delivery with these stages, and the defaults of all others."""
        given = {name: model() for name, model in self.stages.items()} | dict(stages or {})
        given["serving"] = self._named(given["data"], given["serving"])
        return Delivery(
            data=given["data"],
            networks={network.name: given[network.name] for network in self.model.networks},
            judging=given["judging"],
            serving=given["serving"],
        )

    def _named(self, data: DataSettings, serving: ServingSettings) -> ServingSettings:
        """Give the name of the dataset to the built-in model where it is trained on another than its own."""
        own = self.stages["data"].model_fields["train"].default
        if self.model.source is not None or "name" in serving.model_fields_set or data.train == own:
            return serving
        try:
            return type(serving).model_validate({**serving.model_dump(), "name": data.train})
        except ValidationError as error:
            raise WrongInput(
                f"data.train is {data.train!r}, which cannot be the model's name too: set serving.name"
            ) from error


def with_defaults(stage: type[S], values: Mapping[str, Any], what: str) -> type[S]:
    """Give the class of a stage with other defaults; WrongInput names `what` gives a wrong one."""
    if not values:
        return stage
    try:
        built = stage.model_validate(dict(values))
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        name = ".".join(map(str, first["loc"])) or "?"
        raise WrongInput(f"{what}.{name} is {first['input']!r}: {first['msg']}") from error
    changed: dict[str, Any] = {}
    for name, field in stage.model_fields.items():
        if (value := getattr(built, name)) != field.default:  # one may follow from another
            with_default = copy(field)
            with_default.default = value
            changed[name] = (field.annotation, with_default)
    if not changed:
        return stage
    made: type[S] = create_model(stage.__name__, __base__=stage, __doc__=stage.__doc__, **changed)
    return made


def contradictions(delivery: Delivery, origins: Mapping[str, str]) -> Iterator[str]:
    """One line for each pair of values that are allowed alone but not together.

    `origins` maps the dotted names of the values that are not defaults to the text of their origin; what is
    set and not there is a parameter of the flow run.
    """

    def told(name: str) -> str:
        stage, _, field = name.partition(".")
        settings = delivery.stages[stage]
        value = getattr(settings, field)
        shown = ",".join(value) if isinstance(value, tuple) else value
        origin = "parameter" if field in settings.model_fields_set else "default"
        return f"{name} ({shown}, {origins.get(name, origin)})"

    judging = delivery.judging
    if not judging.min_flagged_ratio < judging.max_flagged_ratio:
        yield f"{told('judging.min_flagged_ratio')} has to be below {told('judging.max_flagged_ratio')}"
    if judging.request_images > delivery.serving.max_images:
        yield f"{told('judging.request_images')} is more than {told('serving.max_images')}"
    unknown = judging.auroc_bounds.keys() - {*delivery.data.judged_on}
    if unknown:
        yield f"{told('judging.min_auroc_by_set')} bounds {', '.join(sorted(unknown))}, not judged on"
    if delivery.data.train in delivery.data.outliers:
        yield f"{told('data.train')} cannot be among {told('data.outliers')}"
    if 0 < delivery.data.limit <= delivery.data.held_out:
        yield f"{told('data.limit')} leaves no image to train on: {told('data.held_out')} are held out"
