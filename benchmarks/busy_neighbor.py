"""With one process busy on another processor: do one-thread runs of `analyze time` get an answer, and is it right?

    python -m benchmarks.busy_neighbor [--variant alexnet] [--runs 10] [--processes 6] [--budget 3]

Busy runs alternate with quiet ones, because the machine's speed drifts. A run has an answer if it is not void. A busy
run's answer is right if it is within 3 % of the mean of the quiet runs before and after it. The same ratio of quiet
runs, to the quiet runs before and after them, tells how much of a difference is drift, and the median over all busy
runs, whether the neighbor has an effect. Ten busy runs take about 5 minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from statistics import median

import numpy as np

from analyzer.core.errors import CannotMeasure
from analyzer.records.timings import Measurement
from analyzer.timing.driver.api import measure
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options, rate
from benchmarks.contention import busy_loop
from reports.timing.breakdown import measurement_of

WITHIN = 0.03


def main() -> None:
    options = parse_options(__doc__, variant="alexnet", runs=10, processes=6, budget=3.0)
    last = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    quiet, busy = [timed("quiet", options)], []
    for number in range(options.runs):
        with busy_loop(last):
            busy.append(timed(f"busy {number}", options))
        quiet.append(timed("quiet", options))
    answers = [run for run in busy if has_answer(run)]
    print(f"busy runs with an answer: {rate(len(answers), options.runs)} (goal: 9 of 10)")
    print(f"busy runs called trusted: {rate(sum(run.quality == 'trusted' for run in answers if run), options.runs)}")
    neighbors = {"busy": (quiet, busy, quiet[1:]), "quiet": (quiet, quiet[1:], quiet[2:])}
    for name, (before, runs, after) in neighbors.items():
        if ratios := sorted(ratios_to_neighbors(before, runs, after)):
            within = rate(sum(abs(ratio - 1) <= WITHIN for ratio in ratios), len(ratios))
            print(f"{name} runs within 3 % of the quiet runs around: {within}; {ratios[0]:.3f} to {ratios[-1]:.3f}")
            low, high = bootstrap_median([np.array([ratio]) for ratio in ratios])
            print(f"{name} run ÷ quiet runs around: {median(ratios):.3f} ({low:.3f} to {high:.3f})")


def timed(name: str, options: argparse.Namespace) -> Measurement | None:
    """One run of one thread, printed; None if there were too few samples."""
    try:
        record = measure(options.variant, threads=1, processes=options.processes, budget_s=options.budget)
    except CannotMeasure as error:
        print(f"{name}: {error}", flush=True)
        return None
    measurement = measurement_of(record)
    print(f"{name}: {1e3 * median_s(measurement):.3f} ms, {measurement.quality} {measurement.reason}", flush=True)
    return measurement


def has_answer(run: Measurement | None) -> bool:
    return run is not None and run.quality != "void"


def median_s(measurement: Measurement) -> float:
    assert measurement.pass_timing
    return measurement.pass_timing.median_s


def ratios_to_neighbors(
    before: Sequence[Measurement | None], runs: Sequence[Measurement | None], after: Sequence[Measurement | None]
) -> list[float]:
    """Each run's median ÷ the mean of those around it, where all three have an answer."""
    triples = zip(before, runs, after, strict=False)
    return [
        2 * median_s(run) / (median_s(first) + median_s(last))
        for first, run, last in triples
        if first and run and last and all(map(has_answer, (first, run, last)))
    ]


if __name__ == "__main__":
    main()
