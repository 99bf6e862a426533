"""A whole delivery: the hyperparameters of every stage together, and what must hold between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from settings.hyperparameters import (
    ClassifierSettings,
    ConceptSettings,
    DataSettings,
    JudgingSettings,
    ServingSettings,
    Stage,
)


class Delivery(BaseModel):
    """The parameters of the flow: one model per stage, and no place among them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataSettings = DataSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    concept: ConceptSettings = ConceptSettings()
    judging: JudgingSettings = JudgingSettings()
    serving: ServingSettings = ServingSettings()


STAGES: Mapping[str, type[Stage]] = {
    "data": DataSettings,
    "classifier": ClassifierSettings,
    "concept": ConceptSettings,
    "judging": JudgingSettings,
    "serving": ServingSettings,
}

HYPERPARAMETERS: Mapping[str, FieldInfo] = {
    f"{stage}.{name}": field for stage, model in STAGES.items() for name, field in model.model_fields.items()
}
"""Every hyperparameter by its dotted name (`classifier.steps`), in the order of the stages."""


IMAGE_BYTES = 28 * 28 * 13  # of an image in a request: JSON, a float32 with its comma for each pixel


def contradictions(delivery: Delivery, origins: Mapping[str, str]) -> Iterator[str]:
    """One line for each pair of values that are allowed alone but not together.

    `origins` maps the dotted names of the values that are not defaults to the text of their origin; what is
    set and not there is a parameter of the flow run.
    """

    def told(name: str) -> str:
        stage, _, field = name.partition(".")
        settings: Stage = getattr(delivery, stage)
        value = getattr(settings, field)
        shown = ",".join(value) if isinstance(value, tuple) else value
        origin = "parameter" if field in settings.model_fields_set else "default"
        return f"{name} ({shown}, {origins.get(name, origin)})"

    judging = delivery.judging
    if not judging.min_flagged_ratio < judging.max_flagged_ratio:
        yield f"{told('judging.min_flagged_ratio')} has to be below {told('judging.max_flagged_ratio')}"
    if judging.request_images > delivery.serving.max_images:
        yield f"{told('judging.request_images')} is more than {told('serving.max_images')}"
    if judging.request_images * IMAGE_BYTES > delivery.serving.max_request_mib * 2**20:
        yield f"{told('judging.request_images')} are more than fit into {told('serving.max_request_mib')}"
    unknown = judging.auroc_bounds.keys() - {*delivery.data.judged_on}
    if unknown:
        yield f"{told('judging.min_auroc_by_set')} bounds {', '.join(sorted(unknown))}, not judged on"
    if delivery.data.train in delivery.data.outliers:
        yield f"{told('data.train')} cannot be among {told('data.outliers')}"
    if 0 < delivery.data.limit <= delivery.data.held_out:
        yield f"{told('data.limit')} leaves no image to train on: {told('data.held_out')} are held out"
