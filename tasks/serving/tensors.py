"""Nested lists of JSON numbers to arrays of rows, and what is wrong with those that are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.release.contract import Signature, Tensor
from tasks.serving.runtime import Rows

NOT_NUMBERS = (b"true", b"false", b"null")
ROUNDING = 1e-6  # of float32 at 1: a client that computes 255 / 255 otherwise is not wrong


class Wrong(ValueError):  # noqa: N818
    """An input that is not what the signature asks for: what is wrong, and where."""


def holds_only_numbers(text: bytes, *, strings: int) -> bool:
    """Tell whether the lists in a JSON text hold numbers alone; elsewhere in it are so many `strings`.

    A search of the text costs a tenth of a look at the type of each element.
    """
    return text.count(b'"') == 2 * strings and not any(word in text for word in NOT_NUMBERS)


def unwrap_rows(instances: Sequence[Any], signature: Signature, first: int = 0) -> list[Any]:
    """Give the rows of instances that name their input, of which the first has the index `first`."""
    rows = []
    for index, instance in enumerate(instances, start=first):
        where = f"instances[{index}]"
        if not isinstance(instance, dict):
            raise Wrong(f"{where}: not an object like the first one")
        rows.append(single_input(instance, signature, where))
    return rows


def single_input(named: Mapping[str, Any], signature: Signature, where: str) -> Any:
    """Give the value of the only input that there is."""
    for name in named:
        if name != signature.input_name:
            raise Wrong(f"{where}: unknown input {name[:40]!r}, expected {signature.input_name!r}")
    if signature.input_name not in named:
        raise Wrong(f"{where}: no input {signature.input_name!r}")
    return named[signature.input_name]


def shape_of_first(values: Any, tensor: Tensor) -> tuple[int, ...]:
    """Give the shape in which the rows come, as the first one has it.

    Where a row has the rank 2, an axis of one channel may be behind: clients send greyscale images so.
    """
    shape = tensor.row
    if len(shape) != 2:
        return shape
    value = values
    for _ in range(1 + len(shape)):
        if not isinstance(value, list) or not value:
            return shape
        value = value[0]
    return (*shape, 1) if isinstance(value, list) and len(value) == 1 else shape


def to_rows(
    values: Any,
    tensor: Tensor,
    *,
    where: str,
    numbers_only: bool,
    shape: tuple[int, ...] | None = None,
    first: int = 0,
) -> Rows:
    """Give the array (N, …) of nested lists; raises Wrong with the place of the first fault.

    `where` is the name of the value in the request, for messages. `numbers_only` says that the lists hold
    nothing but numbers for sure; otherwise each element is looked at, for NumPy reads "1" and true as 1.
    `shape` is that of one row as it comes, by default that of the first one, whose index is `first`.
    """
    if isinstance(values, list) and not values:
        return np.empty((0, *tensor.row), tensor.dtype)
    check = _Check(shape_of_first(values, tensor) if shape is None else shape, tensor, where, first)
    if not numbers_only:
        check.all(values)
    try:
        rows = _array(values, tensor.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        check.all(values)
        raise Wrong(f"{where}: {error}") from error
    if rows.ndim == 0 or rows.shape[1:] != check.shape:
        check.all(values)
        raise Wrong(f"{where}: an array of shape {_text(rows.shape)}; {check.whole}")
    rows = rows.reshape(len(rows), *tensor.row)
    low, high = _bounds(tensor)
    if rows.min() >= low and rows.max() <= high:  # NaN compares false
        return rows
    if not (rows.min() >= low - ROUNDING and rows.max() <= high + ROUNDING):
        raise Wrong(check.out_of_range(rows))
    return rows.clip(low, high)


def _bounds(tensor: Tensor) -> tuple[float, float]:
    """Give the least and the greatest value; where the range is open, of the finite numbers of the type."""
    limits = np.finfo(tensor.dtype) if np.dtype(tensor.dtype).kind == "f" else np.iinfo(tensor.dtype)
    return max(tensor.low, float(limits.min)), min(tensor.high, float(limits.max))


def _array(values: Any, dtype: str) -> Rows:
    """Give nested lists of numbers as an array of that type; ValueError where a number is none of it."""
    if np.dtype(dtype).kind == "f":
        with np.errstate(over="ignore"):
            return np.array(values, dtype=dtype)
    rows = np.array(values)  # NumPy would cut fractions off in silence
    if rows.size and rows.dtype.kind not in "iu":
        raise ValueError(f"the values have to be whole numbers of {dtype}")
    limits = np.iinfo(dtype)
    if rows.size and not (rows.min() >= limits.min and rows.max() <= limits.max):
        raise ValueError(f"the values have to be within {limits.min}..{limits.max}")
    return rows.astype(dtype)


class _Check:
    """Finds the first fault, and says where it is and what was expected."""

    def __init__(self, shape: tuple[int, ...], tensor: Tensor, where: str, first: int) -> None:
        self.shape = shape
        self.tensor = tensor
        self.where = where
        self.first = first
        self.whole = f"the whole has the shape {_text(('N', *tensor.row))}"

    def all(self, values: Any) -> None:
        """Raise Wrong at the first element that is not as the shape asks."""
        if not isinstance(values, list):
            raise Wrong(f"{self.where}: {_kind(values)}, expected a list of rows; {self.whole}")
        for index, value in enumerate(values, start=self.first):
            self._part(value, self.shape, f"{self.where}[{index}]")

    def _part(self, value: Any, shape: tuple[int, ...], where: str) -> None:
        if not shape:
            if type(value) not in (int, float):
                more = f"; {self.whole}" if isinstance(value, list) else ""
                raise Wrong(f"{where}: {_kind(value)}, expected a number{more}")
            return
        if not isinstance(value, list):
            what = "a row" if shape == self.shape else f"a list of {shape[0]}"
            raise Wrong(f"{where}: {_kind(value)}, expected {what}; {self.whole}")
        if len(value) != shape[0]:
            raise Wrong(f"{where}: a list of {len(value)}, expected {shape[0]}; {self.whole}")
        for index, element in enumerate(value):
            self._part(element, shape[1:], f"{where}[{index}]")

    def out_of_range(self, rows: Rows) -> str:
        """Say which value is the first that is outside of the range."""
        low, high = _bounds(self.tensor)
        outside = ~((rows >= low - ROUNDING) & (rows <= high + ROUNDING))
        first = tuple(int(axis) for axis in np.argwhere(outside)[0])
        index = "".join(f"[{axis}]" for axis in (self.first + first[0], *first[1:]))
        message = f"{self.where}{index}: {rows[first]:g} is outside {low:g}..{high:g}"
        if (low, high) == (0, 1) and 1 < rows[first] <= 255:
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


def _text(shape: Sequence[int | str]) -> str:
    return " × ".join(map(str, shape))
