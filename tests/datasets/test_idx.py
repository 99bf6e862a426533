from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from settings.errors import Stopped
from tasks.datasets.errors import Refused
from tasks.datasets.idx import decode_images, decode_labels

Idx = Callable[[np.ndarray], bytes]
IMAGES = np.random.default_rng(1).integers(0, 256, (5_000, 28, 28), np.uint8)
LABELS = (np.arange(5_000) % 10).astype(np.uint8)


def decode(content: str, raw: bytes, target: Path, *, count: int = 5_000, digest: str = "") -> None:
    digest = digest or f"sha256:{hashlib.sha256(raw).hexdigest()}"
    stream = io.BytesIO(raw)
    if content == "images":
        decode_images(
            stream,
            target,
            shape=(count, 28, 28),
            digest=digest,
            shown="a.gz",
            should_stop=lambda: False,
        )
    else:
        decode_labels(
            stream, target, count=count, classes=10, digest=digest, shown="a.gz", should_stop=lambda: False
        )


@pytest.mark.parametrize(("content", "array"), [("images", IMAGES), ("labels", LABELS)])
def test_decodes(idx: Idx, tmp_path: Path, content: str, array: np.ndarray) -> None:
    """What was written into an IDX file comes out of it, over several pieces."""
    decode(content, idx(array), tmp_path / "a.npy")
    decoded = np.load(tmp_path / "a.npy")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize(
    ("content", "change", "message"),
    [
        ("images", lambda raw: b"<htm" + raw[4:], "a.gz: starts with 3c68746d; .* starts with 00000803"),
        ("labels", lambda raw: raw[:3] + b"\x03" + raw[4:], "starts with 00000803; .* starts with 00000801"),
        ("images", lambda raw: b"", "a.gz: starts with nothing"),
        ("images", lambda raw: raw[:9], "a.gz: ends within its header"),
        (
            "images",
            lambda raw: raw[:7] + b"\x09" + raw[8:],
            r"holds 4,873 x 28 x 28, expected 5,000 x 28 x 28",
        ),
        ("images", lambda raw: raw[:15] + b"\x1d" + raw[16:], r"holds 5,000 x 28 x 29, expected"),
        ("images", lambda raw: raw[:-784], "ends after 4,999 of 5,000 images"),
        ("labels", lambda raw: raw[:-1], "ends after 4,999 of 5,000 labels"),
        ("images", lambda raw: raw + b"\0", "holds more than its 5,000 images"),
        ("labels", lambda raw: raw[:-1] + b"\x0a", "holds the label 10; labels go from 0 to 9"),
    ],
)
def test_refuses(
    idx: Idx, tmp_path: Path, content: str, change: Callable[[bytes], bytes], message: str
) -> None:
    """A file that is not what it says, or should be, is named with what is wrong; nothing is left of it."""
    raw = change(idx(IMAGES if content == "images" else LABELS))
    with pytest.raises(Refused, match=message):
        decode(content, raw, tmp_path / "a.npy")
    assert not (tmp_path / "a.npy").exists()


def test_refuses_other_content(idx: Idx, tmp_path: Path) -> None:
    """One changed pixel is another digest, and the error carries the one that the file has."""
    raw = idx(IMAGES)
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    changed = raw[:-1] + bytes([raw[-1] ^ 1])
    with pytest.raises(Refused, match="sha256 of its content is") as refused:
        decode("images", changed, tmp_path / "a.npy", digest=digest)
    assert refused.value.digest == f"sha256:{hashlib.sha256(changed).hexdigest()}"


def test_reads_no_more_than_it_must(idx: Idx, tmp_path: Path) -> None:
    """A bomb is read to the first byte too many."""
    bomb = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(idx(LABELS) + bytes(50_000_000))))
    with pytest.raises(Refused, match="more than its 5,000 labels"):
        decode_labels(
            bomb,
            tmp_path / "a.npy",
            count=5_000,
            classes=10,
            digest="sha256:0",
            shown="a.gz",
            should_stop=lambda: False,
        )
    assert bomb.tell() < 6_000


def test_stops(idx: Idx, tmp_path: Path) -> None:
    """The stop flag is read between pieces."""
    answers = iter([False, True])
    with pytest.raises(Stopped):
        decode_images(
            io.BytesIO(idx(IMAGES)),
            tmp_path / "a.npy",
            shape=(5_000, 28, 28),
            digest="sha256:0",
            shown="a.gz",
            should_stop=lambda: next(answers),
        )
    assert not (tmp_path / "a.npy").exists()
