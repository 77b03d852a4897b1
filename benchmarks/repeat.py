"""Does a second run say the same? `analyze time` several times over: ranks of modules, and how their times vary.

    python -m benchmarks.repeat [--variant googlenet] [--batch 8] [--threads N] [--budget 60] [--processes N]
                               [--runs 5] [--keep FOLDER]
    python -m benchmarks.repeat RECORD [RECORD ...]     of runs that were kept

Each run is a whole one, fresh processes and all. Modules are those of 0.3 % of a pass or more. Beside how far runs lie
apart stands what each run said of that by itself: which modules it trusts, and whether its intervals hold.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from math import hypot, inf, sqrt
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.records.envelope import dump, load
from analyzer.records.record import Record
from analyzer.records.timings import PRECISE, Timing
from analyzer.timing.driver.measure import measure
from analyzer.timing.statistics import doubts
from benchmarks.tiling import NOTABLE, rank_correlation
from reports.timing.parts import cell_of


class Module(Frozen):
    """Its median, and its time as a part with half of the interval of that, in seconds."""

    median_s: float
    part_s: float
    doubt_s: float

    @property
    def known(self) -> bool:
        return self.doubt_s <= PRECISE * self.part_s


Run = dict[str, Module]


def modules(record: Record) -> Run:
    """Every module with operators of its own: passes are summed operator by operator."""
    parts, doubt = cell_of(record).parts, doubts(cell_of(record))
    own: dict[str, list[Timing]] = defaultdict(list)
    for one in cell_of(record).of("tile"):
        own[one.path].append(one)
    return {
        path: Module(
            median(map(sum, zip(*(one.samples_s for one in some), strict=True))),
            sum(parts[one] for one in some),
            inf if (half := doubt(some)) is None else half,
        )
        for path, some in own.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", type=Path)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, help="default: all that this process may use")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--processes", type=int, help="default: as analyze time takes")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder for the records")
    asked = parser.parse_args()
    records: list[Record] = []
    for number in range(len(asked.records) or asked.runs):
        if asked.records:
            record = _kept(asked.records[number])
        else:
            record = _measured(asked)
            if asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                (asked.keep / f"run{number}.json").write_text(dump([record]), encoding="utf-8")
        measurement, parts = cell_of(record), cell_of(record).parts
        if (
            measurement.whole is None
            or measurement.uncut is None
            or not sum(parts.values())
            or (records and record.label != records[0].label)
        ):
            sys.exit(f"run {number}, {record.label}, was not cut into parts, or is of another model")
        gap = sum(seconds for one, seconds in parts.items() if one.kind == "gap") / sum(parts.values())
        print(
            f"run {number}: {1e3 * measurement.whole.median_s:.2f} ms, {len(measurement.whole.samples_s)} passes, parts ÷ whole "
            f"{sum(parts.values()) / measurement.uncut.middle_s:.4f}, gap {100 * gap:.2f} %, {measurement.quality} {measurement.reason}",
            flush=True,
        )
        records.append(record)
    tell("all runs", records)
    tell("trusted runs", [record for record in records if cell_of(record).quality == "trusted"])
    return 0


def _kept(path: Path) -> Record:
    try:
        found = load(path.read_text(encoding="utf-8"), name=str(path))
    except (AnalyzerError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"cannot read {path}: {error}")
    if len(found) != 1 or found[0].measurement is None:
        sys.exit(f"{path} holds no single timed record")
    return found[0]


def _measured(asked: Any) -> Record:
    return measure(
        asked.variant,
        batch=asked.batch,
        threads=asked.threads,
        budget_s=asked.budget,
        processes=asked.processes,
    )


def tell(what: str, records: Sequence[Record]) -> None:
    """Prints how far these runs lie apart."""
    if len(records) < 2:
        print(f"{what}: {len(records)}, too few to compare")
        return
    runs = [modules(record) for record in records]
    whole = [one.median_s for record in records if (one := cell_of(record).whole)]
    notable = [path for path in runs[0] if median(run[path].median_s for run in runs) >= NOTABLE * median(whole)]
    if len(notable) < 2:
        print(f"{what}: {len(notable)} modules of 0.3 % of a pass or more, too few to compare")
        return
    ranks = [
        rank_correlation([a[path].median_s for path in notable], [b[path].median_s for path in notable])
        for a, b in combinations(runs, 2)
    ]
    print(
        f"{what}: {len(records)}; rank correlation of {len(notable)} modules lowest {min(ranks):.4f}, median "
        f"{median(ranks):.4f}; the pass varies {100 * stdev(whole) / mean(whole):.2f} %"
    )
    print(f"  all modules: {_varies(runs, notable)}")
    known = [path for path in notable if all(run[path].known for run in runs)]
    print(f"  known to ± {100 * PRECISE:.0f} % in every run: {_varies(runs, known)}")
    pairs = [(a[path], b[path]) for a, b in combinations(runs, 2) for path in notable]
    sure = [(a, b) for a, b in pairs if a.known and b.known]
    if sure:
        apart = sqrt(mean(2 * ((a.median_s - b.median_s) / (a.median_s + b.median_s)) ** 2 for a, b in sure))
        print(f"  known so well in both of two runs: {len(sure)} pairs, which vary {100 * apart:.2f} %")
    held = mean(abs(a.part_s - b.part_s) <= hypot(a.doubt_s, b.doubt_s) for a, b in pairs)
    print(f"  two runs lie as close as their intervals say: {100 * held:.0f} % of {len(pairs)} pairs (wanted 95)")


def _varies(runs: Sequence[Run], paths: Sequence[str]) -> str:
    """A standard deviation over runs ÷ the mean, of each module's median."""
    if not paths:
        return "none"
    found = {
        path: stdev(run[path].median_s for run in runs) / mean(run[path].median_s for run in runs) for path in paths
    }
    worst = max(found, key=found.__getitem__)
    return (
        f"{len(found)}; the median varies {100 * median(found.values()):.2f} % (the median module), below 2 % in "
        f"{sum(one < 0.02 for one in found.values())}, highest {100 * found[worst]:.2f} % ({worst})"
    )


if __name__ == "__main__":
    sys.exit(main())
