"""Does a second run agree with the first? Runs `analyze time` several times and compares ranks and times of modules.

    python -m benchmarks.repeatability [--variant googlenet] [--batch 8] [--threads N] [--budget 60] [--processes N]
                               [--runs 5] [--keep FOLDER]
    python -m benchmarks.repeatability RECORD [RECORD ...]     of runs that were kept

Each run is complete, with its own processes. Modules below 0.3 % of a pass are left out. Differences between runs are
compared with the qualities and confidence intervals that each run gave by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import median

import numpy as np
import pandas

from analyzer.core.errors import AnalyzerError
from analyzer.records.record import Record
from analyzer.records.record_json import dump, load
from analyzer.records.timings import TRUSTED_HALF_WIDTH, Timing
from analyzer.timing.driver.api import measure
from analyzer.timing.driver.time_configurations import usable_processors
from analyzer.timing.statistics import interval_half_width
from benchmarks.common import parse_options
from benchmarks.parts_add_up import MIN_RANKED, rank_correlations
from reports.timing.breakdown import measurement_of


def modules(record: Record) -> pandas.DataFrame:
    """A row per module with its own operators, in seconds: median of their sum, interquartile mean, its half width."""
    measurement = measurement_of(record)
    times_s, half_width = measurement.operator_times_s, interval_half_width(measurement)
    operators: dict[str, list[Timing]] = defaultdict(list)
    for timing in measurement.of("operator"):
        operators[timing.path].append(timing)
    rows = {
        path: {
            "median_s": median(map(sum, zip(*(timing.samples_s for timing in timings), strict=True))),
            "mean_s": sum(times_s[timing] for timing in timings),
            "half_width_s": inf if (width := half_width(timings)) is None else width,
        }
        for path, timings in operators.items()
    }
    return pandas.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    options = parse_options(
        __doc__, records=[], variant="googlenet", batch=8, threads=usable_processors(), budget=60.0, processes=int,
        runs=5, keep=Path,
    )  # fmt: skip
    records: list[Record] = []
    for number in range(len(options.records) or options.runs):
        record = _load(Path(options.records[number])) if options.records else _measure(options, number)
        _print_run(number, record, records)
        records.append(record)
    compare("all runs", records)
    compare("trusted runs", [record for record in records if measurement_of(record).quality == "trusted"])


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
    timing, uninstrumented = measurement.pass_timing, measurement.uninstrumented
    total_s = sum(measurement.operator_times_s.values())
    if timing is None or uninstrumented is None or not total_s or (earlier and record.label != earlier[0].label):
        sys.exit(f"run {number}, {record.label}, has no operator times or is of another model")
    print(
        f"run {number}: {1e3 * timing.median_s:.2f} ms, {len(timing.samples_s)} passes, operators ÷ pass "
        f"{total_s / uninstrumented.interquartile_mean_s:.4f}, overhead {100 * measurement.overhead_s / total_s:.2f} "
        f"%, {measurement.quality} {measurement.reason}",
        flush=True,
    )


def compare(title: str, records: Sequence[Record]) -> None:
    """Prints how far the runs differ: ranks, variation of times, and coverage of the confidence intervals."""
    if len(records) < 2:
        print(f"{title}: {len(records)}, too few to compare")
        return
    runs = [modules(record) for record in records]
    # A row per module, a column per run.
    medians_s, means_s, widths_s = (
        pandas.concat([run[key] for run in runs], axis=1, keys=range(len(runs)))
        for key in ("median_s", "mean_s", "half_width_s")
    )
    passes_s = pandas.Series([timing.median_s for record in records if (timing := measurement_of(record).pass_timing)])
    ranked = medians_s.median(axis=1) >= MIN_RANKED * passes_s.median()
    medians_s, means_s, widths_s = medians_s[ranked], means_s[ranked], widths_s[ranked]
    if len(medians_s) < 2:
        print(f"{title}: {len(medians_s)} modules of at least 0.3 % of a pass, too few to compare")
        return
    ranks = rank_correlations(medians_s)
    print(
        f"{title}: {len(records)}; rank correlation of {len(medians_s)} modules lowest {ranks.min():.4f}, median "
        f"{np.median(ranks):.4f}; the pass varies {100 * passes_s.std() / passes_s.mean():.2f} %"
    )
    print(f"  all modules: {_variation(medians_s)}")
    trusted = widths_s <= TRUSTED_HALF_WIDTH * means_s
    print(f"  within ± {100 * TRUSTED_HALF_WIDTH:.0f} % in every run: {_variation(medians_s[trusted.all(axis=1)])}")
    first, second = np.triu_indices(len(records), 1)  # A column per two runs in what follows.
    both = trusted.to_numpy()[:, first] & trusted.to_numpy()[:, second]
    if both.any():
        a, b = medians_s[first].to_numpy()[both], medians_s[second].to_numpy()[both]
        varies = np.sqrt(np.mean((2 * (a - b) / (a + b)) ** 2) / 2)
        print(f"  within it in both of two runs: {both.sum()} pairs, which vary {100 * varies:.2f} %")
    differences_s = means_s[first].to_numpy() - means_s[second].to_numpy()
    covered = abs(differences_s) <= np.hypot(widths_s[first].to_numpy(), widths_s[second].to_numpy())
    print(
        f"  differences within the intervals of both runs: {100 * covered.mean():.0f} % of {covered.size} pairs "
        "(target: 95)"
    )


def _variation(medians_s: pandas.DataFrame) -> str:
    """Standard deviation over runs ÷ mean, of each module's median."""
    if medians_s.empty:
        return "none"
    variation = medians_s.std(axis=1) / medians_s.mean(axis=1)
    return (
        f"{len(variation)}; the median varies {100 * variation.median():.2f} % (the median module), below 2 % in "
        f"{(variation < 0.02).sum()}, highest {100 * variation.max():.2f} % ({variation.idxmax()})"
    )


if __name__ == "__main__":
    main()
