"""Nested lists of JSON numbers to float32 arrays, and what is wrong with those that are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.serving.release import Tensor
from tasks.serving.runtime import Images

NOT_NUMBERS = (b"true", b"false", b"null")


class Wrong(ValueError):  # noqa: N818
    """An input that is not what the signature asks for: what is wrong, and where."""


def holds_only_numbers(text: bytes, *, strings: int) -> bool:
    """Tell whether the lists in a JSON text hold numbers alone; elsewhere in it are so many `strings`.

    A search of the text costs a tenth of a look at the type of each element.
    """
    return text.count(b'"') == 2 * strings and not any(word in text for word in NOT_NUMBERS)


def to_images(values: Any, tensor: Tensor, *, where: str, numbers_only: bool) -> Images:
    """Give the float32 array (N, ...) of nested lists; raises Wrong with the place of the first fault.

    `where` is the name of the value in the request, for messages. `numbers_only` says that the lists hold
    nothing but numbers for sure; otherwise each element is looked at, for NumPy reads "1" and true as 1.
    """
    shape = tensor.shape[1:]
    if isinstance(values, list) and not values:
        return np.empty((0, *shape), np.float32)
    if not numbers_only:
        _check(values, shape, where)
    try:
        with np.errstate(over="ignore"):
            imgs = np.array(values, dtype=np.float32)
    except (ValueError, TypeError) as error:
        _check(values, shape, where)
        raise Wrong(f"{where}: {error}") from error
    if imgs.shape[1:] != shape or imgs.ndim == 0:
        _check(values, shape, where)
        raise Wrong(f"{where}: an array of shape {_text(imgs.shape)}, expected N × {_text(shape)}")
    if not (imgs.min() >= tensor.low and imgs.max() <= tensor.high):  # NaN compares false
        raise Wrong(_out_of_range(imgs, tensor, where))
    return imgs


def _check(values: Any, shape: tuple[int, ...], where: str) -> None:
    """Raise Wrong at the first element that is not as the shape (without N) asks."""
    if not isinstance(values, list):
        raise Wrong(f"{where}: {_kind(values)}, expected a list of images of shape {_text(shape)}")
    for index, value in enumerate(values):
        _check_row(value, shape, f"{where}[{index}]", shape)


def _check_row(value: Any, shape: tuple[int, ...], where: str, whole: tuple[int, ...]) -> None:
    if not shape:
        if type(value) not in (int, float):
            raise Wrong(f"{where}: {_kind(value)}, expected a number")
        return
    if not isinstance(value, list):
        what = "an image" if shape == whole else f"a list of {shape[0]}"
        raise Wrong(f"{where}: {_kind(value)}, expected {what}; one image has shape {_text(whole)}")
    if len(value) != shape[0]:
        raise Wrong(
            f"{where}: a list of {len(value)}, expected {shape[0]}; one image has shape {_text(whole)}"
        )
    for index, element in enumerate(value):
        _check_row(element, shape[1:], f"{where}[{index}]", whole)


def _out_of_range(imgs: Images, tensor: Tensor, where: str) -> str:
    outside = ~((imgs >= tensor.low) & (imgs <= tensor.high))
    first = tuple(int(axis) for axis in np.argwhere(outside)[0])
    place = where + "".join(f"[{index}]" for index in first)
    message = f"{place}: {imgs[first]:g} is outside {tensor.low:g}..{tensor.high:g}"
    if (tensor.low, tensor.high) == (0, 1) and 1 < imgs[first] <= 255:
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
