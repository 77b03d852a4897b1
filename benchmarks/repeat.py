"""Does a second run agree with the first? Runs `analyze time` several times and compares ranks and times of modules.

    python -m benchmarks.repeat [--variant googlenet] [--batch 8] [--threads N] [--budget 60] [--processes N]
                               [--runs 5] [--keep FOLDER]
    python -m benchmarks.repeat RECORD [RECORD ...]     of runs that were kept

Each run is complete, with its own processes. Modules below 0.3 % of a pass are left out. Differences between runs are
compared with the qualities and confidence intervals that each run gave by itself.
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

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.records.envelope import dump, load
from analyzer.records.record import Record
from analyzer.records.timings import TRUSTED_HALF_WIDTH, Timing
from analyzer.timing.driver.measure import measure
from analyzer.timing.statistics import interval_half_width
from benchmarks.instrumentation import MIN_RANKED, rank_correlation
from reports.timing.breakdown import measurement_of


class Module(Frozen):
    """Its median, its time as an interquartile mean, and the half width of that mean's interval, in seconds."""

    median_s: float
    mean_s: float
    half_width_s: float

    @property
    def trusted(self) -> bool:
        return self.half_width_s <= TRUSTED_HALF_WIDTH * self.mean_s


def modules(record: Record) -> dict[str, Module]:
    """Every module with its own operators, summed pass by pass."""
    measurement = measurement_of(record)
    times_s, half_width = measurement.operator_times_s, interval_half_width(measurement)
    operators: dict[str, list[Timing]] = defaultdict(list)
    for timing in measurement.of("operator"):
        operators[timing.path].append(timing)
    return {
        path: Module(
            median(map(sum, zip(*(timing.samples_s for timing in timings), strict=True))),
            sum(times_s[timing] for timing in timings),
            inf if (width := half_width(timings)) is None else width,
        )
        for path, timings in operators.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", type=Path)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, help="default: all processors of this process")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--processes", type=int, help="default: as analyze time")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder for the records")
    options = parser.parse_args()
    records: list[Record] = []
    for number in range(len(options.records) or options.runs):
        record = _load(options.records[number]) if options.records else _measure(options, number)
        _print_run(number, record, records)
        records.append(record)
    compare("all runs", records)
    compare("trusted runs", [record for record in records if measurement_of(record).quality == "trusted"])
    return 0


def _load(path: Path) -> Record:
    try:
        records = load(path.read_text(encoding="utf-8"), name=str(path))
    except (AnalyzerError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"cannot read {path}: {error}")
    if len(records) != 1 or records[0].measurement is None:
        sys.exit(f"{path} does not have exactly one timed record")
    return records[0]


def _measure(options: argparse.Namespace, number: int) -> Record:
    record = measure(
        options.variant,
        batch=options.batch,
        threads=options.threads,
        budget_s=options.budget,
        processes=options.processes,
    )
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"run{number}.json").write_text(dump([record]), encoding="utf-8")
    return record


def _print_run(number: int, record: Record, earlier: Sequence[Record]) -> None:
    measurement = measurement_of(record)
    times_s, timing, uninstrumented = (
        measurement.operator_times_s,
        measurement.pass_timing,
        measurement.uninstrumented,
    )
    total_s = sum(times_s.values())
    if timing is None or uninstrumented is None or not total_s or (earlier and record.label != earlier[0].label):
        sys.exit(f"run {number}, {record.label}, has no operator times or is of another model")
    overhead = sum(time_s for operator, time_s in times_s.items() if operator.kind == "overhead") / total_s
    print(
        f"run {number}: {1e3 * timing.median_s:.2f} ms, {len(timing.samples_s)} passes, operators ÷ pass "
        f"{total_s / uninstrumented.interquartile_mean_s:.4f}, overhead {100 * overhead:.2f} %, {measurement.quality} "
        f"{measurement.reason}",
        flush=True,
    )


def compare(title: str, records: Sequence[Record]) -> None:
    """Prints how far the runs differ: ranks, variation of times, and coverage of the confidence intervals."""
    if len(records) < 2:
        print(f"{title}: {len(records)}, too few to compare")
        return
    runs = [modules(record) for record in records]
    passes_s = [timing.median_s for record in records if (timing := measurement_of(record).pass_timing)]
    paths = [path for path in runs[0] if median(run[path].median_s for run in runs) >= MIN_RANKED * median(passes_s)]
    if len(paths) < 2:
        print(f"{title}: {len(paths)} modules of at least 0.3 % of a pass, too few to compare")
        return
    ranks = [
        rank_correlation([first[path].median_s for path in paths], [second[path].median_s for path in paths])
        for first, second in combinations(runs, 2)
    ]
    print(
        f"{title}: {len(records)}; rank correlation of {len(paths)} modules lowest {min(ranks):.4f}, median "
        f"{median(ranks):.4f}; the pass varies {100 * stdev(passes_s) / mean(passes_s):.2f} %"
    )
    print(f"  all modules: {_variation(runs, paths)}")
    trusted = [path for path in paths if all(run[path].trusted for run in runs)]
    print(f"  within ± {100 * TRUSTED_HALF_WIDTH:.0f} % in every run: {_variation(runs, trusted)}")
    pairs = [(first[path], second[path]) for first, second in combinations(runs, 2) for path in paths]
    if both := [(first, second) for first, second in pairs if first.trusted and second.trusted]:
        squares = [(2 * (a.median_s - b.median_s) / (a.median_s + b.median_s)) ** 2 for a, b in both]
        print(f"  within it in both of two runs: {len(both)} pairs, which vary {100 * sqrt(mean(squares) / 2):.2f} %")
    covered = mean(abs(a.mean_s - b.mean_s) <= hypot(a.half_width_s, b.half_width_s) for a, b in pairs)
    print(f"  differences within the intervals of both runs: {100 * covered:.0f} % of {len(pairs)} pairs (target: 95)")


def _variation(runs: Sequence[dict[str, Module]], paths: Sequence[str]) -> str:
    """Standard deviation over runs ÷ mean, of each module's median."""
    if not paths:
        return "none"
    variation = {
        path: stdev(run[path].median_s for run in runs) / mean(run[path].median_s for run in runs) for path in paths
    }
    worst = max(variation, key=variation.__getitem__)
    return (
        f"{len(variation)}; the median varies {100 * median(variation.values()):.2f} % (the median module), below 2 % "
        f"in {sum(share < 0.02 for share in variation.values())}, highest {100 * variation[worst]:.2f} % ({worst})"
    )


if __name__ == "__main__":
    sys.exit(main())
