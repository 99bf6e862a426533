from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.judging.scores import OUTPUTS, Latency, load_scores, save_scores


def test_scores_come_back_as_they_were(world: Any, tmp_path: Path) -> None:
    """Version, latency, and every array with its type; the sets in their order."""
    scores = replace(world.scores(), latency=(Latency(1, 200, 0.5, 0.9),))
    save_scores(tmp_path, scores)
    loaded = load_scores(tmp_path)
    assert (loaded.version, loaded.latency) == (scores.version, scores.latency)
    assert list(loaded.sets) == ["test", "letters", "blank"]
    for name in scores.sets:
        for output in OUTPUTS:
            wanted, found = getattr(scores.sets[name], output), getattr(loaded.sets[name], output)
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)
