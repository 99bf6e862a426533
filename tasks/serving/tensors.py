"""Nested lists of JSON numbers to float32 arrays, and what is wrong with those that are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.serving.release import Tensor
from tasks.serving.runtime import Images

NOT_NUMBERS = (b"true", b"false", b"null")
ROUNDING = 1e-6  # of float32 at 1: a client that computes 255 / 255 otherwise is not wrong


class Wrong(ValueError):  # noqa: N818
    """An input that is not what the signature asks for: what is wrong, and where."""


def holds_only_numbers(text: bytes, *, strings: int) -> bool:
    """Tell whether the lists in a JSON text hold numbers alone; elsewhere in it are so many `strings`.

    A search of the text costs a tenth of a look at the type of each element.
    """
    return text.count(b'"') == 2 * strings and not any(word in text for word in NOT_NUMBERS)


def unwrap_rows(instances: Sequence[Any], tensor: Tensor, first: int = 0) -> list[Any]:
    """Give the images of instances that name their input, of which the first has the index `first`."""
    images = []
    for index, instance in enumerate(instances, start=first):
        where = f"instances[{index}]"
        if not isinstance(instance, dict):
            raise Wrong(f"{where}: not an object like the first one")
        images.append(single_input(instance, tensor, where))
    return images


def single_input(named: Mapping[str, Any], tensor: Tensor, where: str) -> Any:
    """Give the value of the only input that there is."""
    for name in named:
        if name != tensor.name:
            raise Wrong(f"{where}: unknown input {name[:40]!r}, expected {tensor.name!r}")
    if tensor.name not in named:
        raise Wrong(f"{where}: no input {tensor.name!r}")
    return named[tensor.name]


def shape_of_first(values: Any, tensor: Tensor) -> tuple[int, ...]:
    """Give the shape in which images come, as the first one has it: an axis for one channel may be behind."""
    shape = tensor.shape[1:]
    value = values
    for _ in range(1 + len(shape)):
        if not isinstance(value, list) or not value:
            return shape
        value = value[0]
    return (*shape, 1) if isinstance(value, list) and len(value) == 1 else shape


def to_images(
    values: Any,
    tensor: Tensor,
    *,
    where: str,
    numbers_only: bool,
    shape: tuple[int, ...] | None = None,
    first: int = 0,
) -> Images:
    """Give the float32 array (N, ...) of nested lists; raises Wrong with the place of the first fault.

    `where` is the name of the value in the request, for messages. `numbers_only` says that the lists hold
    nothing but numbers for sure; otherwise each element is looked at, for NumPy reads "1" and true as 1.
    `shape` is that of one image as it comes, by default that of the first one, whose index is `first`.
    """
    if isinstance(values, list) and not values:
        return np.empty((0, *tensor.shape[1:]), np.float32)
    check = _Check(shape or shape_of_first(values, tensor), tensor, where, first)
    if not numbers_only:
        check.all(values)
    try:
        with np.errstate(over="ignore"):
            imgs = np.array(values, dtype=np.float32)
    except (ValueError, TypeError) as error:
        check.all(values)
        raise Wrong(f"{where}: {error}") from error
    if imgs.ndim == 0 or imgs.shape[1:] != check.shape:
        check.all(values)
        raise Wrong(f"{where}: an array of shape {_text(imgs.shape)}; {check.whole}")
    imgs = imgs.reshape(len(imgs), *tensor.shape[1:])
    if imgs.min() >= tensor.low and imgs.max() <= tensor.high:  # NaN compares false
        return imgs
    if not (imgs.min() >= tensor.low - ROUNDING and imgs.max() <= tensor.high + ROUNDING):
        raise Wrong(check.out_of_range(imgs))
    return imgs.clip(tensor.low, tensor.high)


class _Check:
    """Finds the first fault, and says where it is and what was expected."""

    def __init__(self, shape: tuple[int, ...], tensor: Tensor, where: str, first: int) -> None:
        self.shape = shape
        self.tensor = tensor
        self.where = where
        self.first = first
        self.whole = f"the whole has the shape N × {_text(tensor.shape[1:])}"

    def all(self, values: Any) -> None:
        """Raise Wrong at the first element that is not as the shape asks."""
        if not isinstance(values, list):
            raise Wrong(f"{self.where}: {_kind(values)}, expected a list of images; {self.whole}")
        for index, value in enumerate(values, start=self.first):
            self._row(value, self.shape, f"{self.where}[{index}]")

    def _row(self, value: Any, shape: tuple[int, ...], where: str) -> None:
        if not shape:
            if type(value) not in (int, float):
                more = f"; {self.whole}" if isinstance(value, list) else ""
                raise Wrong(f"{where}: {_kind(value)}, expected a number{more}")
            return
        if not isinstance(value, list):
            what = "an image" if shape == self.shape else f"a list of {shape[0]}"
            raise Wrong(f"{where}: {_kind(value)}, expected {what}; {self.whole}")
        if len(value) != shape[0]:
            raise Wrong(f"{where}: a list of {len(value)}, expected {shape[0]}; {self.whole}")
        for index, element in enumerate(value):
            self._row(element, shape[1:], f"{where}[{index}]")

    def out_of_range(self, imgs: Images) -> str:
        """Say which value is the first that is outside of the range."""
        low, high = self.tensor.low, self.tensor.high
        outside = ~((imgs >= low - ROUNDING) & (imgs <= high + ROUNDING))
        first = tuple(int(axis) for axis in np.argwhere(outside)[0])
        index = "".join(f"[{axis}]" for axis in (self.first + first[0], *first[1:]))
        message = f"{self.where}{index}: {imgs[first]:g} is outside {low:g}..{high:g}"
        if (low, high) == (0, 1) and 1 < imgs[first] <= 255:
            message += "; divide pixels of 0..255 by 255"
        return message


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {value[:20]!r}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"the number {value}"


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
