from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.judging.scores import load_scores, save_scores
from tasks.store.artifacts import combined_digest, file_digests


def test_scores_come_back_as_they_were(world: Any, tmp_path: Path) -> None:
    """Every array with its type, and the sets in their order; the version is the one that is asked for."""
    scores = world.scores()
    save_scores(tmp_path, scores)
    loaded = load_scores(tmp_path, 7)
    assert loaded.version == 7
    assert list(loaded.sets) == ["test", "letters", "blank"]
    for name in scores.sets:
        assert loaded.sets[name].keys() == scores.sets[name].keys()
        for output, wanted in scores.sets[name].items():
            found = loaded.sets[name][output]
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)


def test_a_release_that_is_asked_twice_has_the_same_scores(world: Any, tmp_path: Path) -> None:
    """Whenever, wherever and under whatever number it is asked: the digest of the files is the same."""
    digests = []
    for version in (1, 2):
        folder = tmp_path / str(version)
        folder.mkdir()
        save_scores(folder, world.scores(replace(world.client, version=version)))
        digests.append(combined_digest(file_digests(folder)))
    assert digests[0] == digests[1]
