"""How long the bootstrap of AUROC takes: 10,000 against 18,724 scores, 1,000 rounds, as a delivery does it.

    python tests/benchmarks/statistics_speed.py

Prints a Markdown table: ours, which measures AUROC, AUPR and FPR at 95 % TPR in every round, and the plain
loop over sklearn.metrics.roc_auc_score, which measures AUROC alone, extrapolated from a few rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from tasks.judging.bootstrap import bootstrap

INLIERS, OUTLIERS, ROUNDS = 10_000, 18_724, 1_000


def main() -> None:
    """Measure both in turn, and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loop-rounds", type=int, default=20, help="rounds of the plain loop")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is printed")
    arguments = parser.parse_args()

    generator = np.random.default_rng(1)
    inliers = generator.normal(0, 1, INLIERS).astype(np.float32)
    outliers = generator.normal(3, 1, OUTLIERS).astype(np.float32)
    labels = np.repeat([0, 1], [INLIERS, OUTLIERS])
    four = {f"detector {number}": number for number in range(4)}

    def ours(names: dict[str, int]) -> Callable[[], object]:
        return lambda: bootstrap(
            dict.fromkeys(names, inliers), dict.fromkeys(names, outliers), rounds=ROUNDS, seed=1
        )

    def plain_loop() -> None:
        for _ in range(arguments.loop_rounds):
            drawn_in = inliers[generator.integers(0, INLIERS, INLIERS)]
            drawn_out = outliers[generator.integers(0, OUTLIERS, OUTLIERS)]
            roc_auc_score(labels, np.concatenate([drawn_in, drawn_out]))

    candidates: dict[str, tuple[Callable[[], object], float]] = {
        "bootstrap, one detector": (ours({"concept": 0}), 1.0),
        "bootstrap, four detectors that share the resamples": (ours(four), 1.0),
        "loop over roc_auc_score, one detector, extrapolated": (plain_loop, ROUNDS / arguments.loop_rounds),
    }
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(arguments.repeats):
        for name, (call, factor) in candidates.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], factor * (time.perf_counter() - started))

    loop = best["loop over roc_auc_score, one detector, extrapolated"]
    print(f"| {ROUNDS:,} rounds, {INLIERS:,} against {OUTLIERS:,} scores | seconds | times as fast |")
    print("|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {loop / seconds:.1f} |")


if __name__ == "__main__":
    main()
