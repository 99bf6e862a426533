"""The real images that the benchmarks of the models read: plain IDX files in local folders."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Digits:
    """MNIST, images (N, 28, 28) and labels (N,)."""

    train_images: Images
    train_labels: Images
    test_images: Images
    test_labels: Images


def read_idx(path: Path) -> Images:
    """The array of an IDX file of bytes, compressed or not."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_digits(folder: Path) -> Digits:
    """MNIST from a folder with its four files."""
    return Digits(*(read_idx(find(folder, pattern)) for pattern in _PATTERNS))


def find(folder: Path, pattern: str) -> Path:
    """The one file in a folder that matches."""
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise SystemExit(f"no {pattern} in {folder}")
    return paths[0]


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start from printing; to be called before its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


_PATTERNS = (
    "train-images-idx3-ubyte*",
    "train-labels-idx1-ubyte*",
    "t10k-images-idx3-ubyte*",
    "t10k-labels-idx1-ubyte*",
)
