"""From the published files of a dataset to its arrays, whatever source they come from."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets import idx
from tasks.datasets.arrays import images_file, labels_file
from tasks.datasets.catalogue import Dataset, Published
from tasks.datasets.containers import plain, readable

if TYPE_CHECKING:
    from tasks.datasets.pictures import Quarantined


class Decoding:
    """Decodes the files of one dataset into a folder and knows which are still missing.

    A file that is refused leaves nothing behind, so that another source can be asked for it.
    """

    def __init__(self, dataset: Dataset, folder: Path, should_stop: Callable[[], bool]) -> None:
        self.dataset = dataset
        self.served: dict[str, str] = {}
        self.quarantined: list[Quarantined] = []
        self._folder = folder
        self._should_stop = should_stop

    @property
    def missing(self) -> list[Published]:
        """The files that no source has served yet."""
        return [file for file in self.dataset.files if file.name not in self.served]

    def decode_path(self, file: Published, path: Path, origin: str, shown: str = "") -> None:
        """Decode a file on disk, gzipped or not; an error names it by its path, or as `shown`."""
        with path.open("rb") as stream:
            self.decode(file, stream, shown or str(path), origin)

    def decode(self, file: Published, stream: io.BufferedReader, shown: str, origin: str) -> None:
        """Decode a stream, gzipped or not; `shown` names it in errors, `origin` in the notes.

        An archive's stream has to be a file. Raises Refused with what is wrong.
        """
        images = self._folder / images_file(file.split)
        labels = self._folder / labels_file(file.split)
        with readable(shown):
            if file.content == "archive":
                from tasks.datasets import pictures  # brings Pillow, which IDX files do without

                self.quarantined = pictures.decode_archive(
                    stream,
                    images,
                    labels,
                    count=file.count,
                    unreadable=self.dataset.unreadable,
                    size=file.published_bytes,
                    digest=file.digest,
                    shown=shown,
                    should_stop=self._should_stop,
                )
            elif file.content == "images":
                idx.decode_images(
                    plain(stream),
                    images,
                    shape=file.shape,
                    digest=file.digest,
                    shown=shown,
                    should_stop=self._should_stop,
                )
            else:
                idx.decode_labels(
                    plain(stream),
                    labels,
                    count=file.count,
                    classes=len(self.dataset.classes),
                    digest=file.digest,
                    shown=shown,
                    should_stop=self._should_stop,
                )
        self.served[file.name] = origin
