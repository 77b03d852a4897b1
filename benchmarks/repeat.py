"""Does a second run say the same? `analyze time` several times over: rank correlation of modules, variation of medians.

    python -m benchmarks.repeat [--variant googlenet] [--batch 8] [--threads N] [--budget 60] [--processes N]
                               [--runs 5]

Each run is a whole one, fresh processes and all. Figures of runs that were not trusted are shown apart.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import combinations
from statistics import mean, median, stdev

from analyzer.record import Record
from analyzer.timing.measure import measure
from benchmarks.tiling import NOTABLE, rank_correlation
from reports.timing_parts import cell_of


def modules(record: Record) -> dict[str, float]:
    """The median of every module with operators of its own, in seconds: passes are summed operator by operator."""
    samples: dict[str, list[list[float]]] = defaultdict(list)
    for one in cell_of(record).of("tile"):
        samples[one.path].append(list(one.samples_s))
    return {path: median(map(sum, zip(*lots, strict=True))) for path, lots in samples.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, help="default: all that this process may use")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--processes", type=int, help="default: as analyze time takes")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    records = []
    for number in range(asked.runs):
        record = measure(
            asked.variant,
            batch=asked.batch,
            threads=asked.threads,
            budget_s=asked.budget,
            processes=asked.processes,
        )
        cell, parts = cell_of(record), cell_of(record).parts
        assert cell.whole is not None
        gap = sum(seconds for one, seconds in parts.items() if one.kind == "gap") / sum(parts.values())
        print(
            f"run {number}: {1e3 * cell.whole.median_s:.2f} ms, {len(cell.whole.samples_s)} passes, parts ÷ whole "
            f"{sum(parts.values()) / cell.whole.middle_s:.4f}, gap {100 * gap:.2f} %, {cell.verdict} {cell.reason}",
            flush=True,
        )
        records.append(record)
    for what, chosen in (
        ("all runs", records),
        ("trusted runs", [record for record in records if cell_of(record).verdict == "trusted"]),
    ):
        if len(chosen) < 2:
            print(f"{what}: {len(chosen)}, too few to compare")
            continue
        runs = [modules(record) for record in chosen]
        whole = [one.median_s for record in chosen if (one := cell_of(record).whole)]
        notable = [path for path in runs[0] if median(run[path] for run in runs) >= NOTABLE * median(whole)]
        ranks = [rank_correlation([a[p] for p in notable], [b[p] for p in notable]) for a, b in combinations(runs, 2)]
        varies = {path: stdev(run[path] for run in runs) / mean(run[path] for run in runs) for path in notable}
        worst = max(varies, key=varies.__getitem__)
        steady = sum(one < 0.02 for one in varies.values())
        print(
            f"{what}: {len(chosen)}, {len(notable)} modules; rank correlation lowest {min(ranks):.4f}, median "
            f"{median(ranks):.4f}; variation of a module's median: median {100 * median(varies.values()):.2f} %, "
            f"below 2 % in {steady}, highest {100 * varies[worst]:.2f} % ({worst}); of the whole pass "
            f"{100 * stdev(whole) / mean(whole):.2f} %"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
