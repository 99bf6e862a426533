"""What a release of a model promises: its signatures, as they follow from its networks and its data.

| role | signature | outputs |
|---|---|---|
| classifier | `serving_default` | `class_ids`, `probabilities`, `logits` |
| autoencoder | `serving_default` | `score`, `in_distribution` |
| | `infer` | `reconstructed`, the mean squared error |
| | `reconstruct` | the rows as it restores them |
| score | `serving_default` | `score`, `in_distribution` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.release.contract import Signature, Tensor

if TYPE_CHECKING:
    from settings.model import Description, Model

DEFAULT = "serving_default"
INFER, RECONSTRUCT = "infer", "reconstruct"
SCORE, IN_DISTRIBUTION = "score", "in_distribution"
ALONE = "X"  # the input of the signatures that are about the autoencoder alone
IMAGES = "imgs"  # the input's name of a model whose rows are images


def promised(model: Model, description: Description) -> dict[str, Signature]:
    """Give the signatures of a release of the model for rows that are as described."""
    classes, row = len(description.classes), (-1, *description.shape)
    low, high = description.model_range
    meaning = (
        "rows, float32 as they are"
        if description.dtype != "uint8"
        else "rows scaled to 0..1 (divided by 255)"
    )
    rows = Tensor("float32", row, meaning, (low, high))
    outputs = {
        "class_ids": Tensor("int64", (-1,), "the most probable class"),
        "probabilities": Tensor(
            "float32", (-1, classes), "probability of each class; they sum to 1", (0.0, 1.0)
        ),
        "logits": Tensor("float32", (-1, classes), "the logits behind the probabilities"),
    }
    signatures = {}
    if (scorer := model.scorer) is not None:
        outputs[SCORE] = Tensor("float32", (-1,), "how far the row is from the data; higher is further")
        outputs[IN_DISTRIBUTION] = Tensor("bool", (-1,), "whether the score is at most the threshold")
        if scorer.role == "autoencoder":
            error = Tensor("float32", (-1,), f"mean squared error of reconstruction by the {scorer.name}")
            restored = Tensor("float32", row, f"what the {scorer.name} makes of the rows")
            signatures[INFER] = Signature({ALONE: rows}, {"reconstructed": error})
            signatures[RECONSTRUCT] = Signature({ALONE: rows}, {restored_name(model): restored})
    return {DEFAULT: Signature({model.inputs: rows}, outputs), **signatures}


def restored_name(model: Model) -> str:
    """Give the name of the output with what the autoencoder restores."""
    return "images" if model.inputs == IMAGES else "rows"
