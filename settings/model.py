"""What a model is made of: the rows and classes of its data, its networks, its defaults.

A user's module defines a `Model`. Light to import: pydantic alone.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
    def names_classes(self) -> bool:
        """Whether the classes have names, and are not just counted."""
        return self.classes != tuple(map(str, range(len(self.classes))))

    @property
    def model_range(self) -> tuple[float, float]:
        """From where to where the values go that a model gets."""
        return (0.0, 1.0) if self.dtype == "uint8" else (self.low, self.high)
