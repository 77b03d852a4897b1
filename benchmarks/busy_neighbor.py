"""With one process busy on another processor: do one-thread runs of `analyze time` get an answer, and is it right?

    python -m benchmarks.busy_neighbor [--variant alexnet] [--runs 10] [--processes 6] [--budget 3]

A quiet run follows every second busy one. A run has an answer if it is not void; the answer is right if it is within
3 % of the median of the quiet runs that are trusted. Ten busy runs take about 4 minutes.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from statistics import median

from analyzer.core.errors import CannotMeasure
from analyzer.timing.driver.api import measure
from benchmarks.common import parse_options, rate
from benchmarks.contention import busy_loop
from reports.timing.breakdown import measurement_of

WITHIN = 0.03


def main() -> None:
    options = parse_options(__doc__, variant="alexnet", runs=10, processes=6, budget=3.0)
    last = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    results: dict[bool, list[tuple[float, str]]] = {False: [], True: []}
    for number in range(options.runs):
        for busy in (True, False)[: 1 + number % 2]:
            with busy_loop(last) if busy else nullcontext():
                try:
                    record = measure(options.variant, threads=1, processes=options.processes, budget_s=options.budget)
                except CannotMeasure as error:
                    print(f"run {number}: {error}", flush=True)
                    continue
            measurement = measurement_of(record)
            assert measurement.pass_timing
            results[busy].append((measurement.pass_timing.median_s, measurement.quality))
            state = "busy " if busy else "quiet"
            taken = 1e3 * measurement.pass_timing.median_s
            print(f"run {number}, {state}: {taken:.3f} ms, {measurement.quality} {measurement.reason}", flush=True)
    quiet = [seconds for seconds, quality in results[False] if quality == "trusted"]
    print(f"quiet runs trusted: {rate(len(quiet), len(results[False]))}")
    answers = [seconds for seconds, quality in results[True] if quality != "void"]
    print(f"busy runs with an answer: {rate(len(answers), options.runs)} (goal: 9 of 10)")
    print(f"busy runs called trusted: {rate(sum(q == 'trusted' for _, q in results[True]), options.runs)}")
    if quiet and answers:
        ratios = sorted(seconds / median(quiet) for seconds in answers)
        within = sum(abs(ratio - 1) <= WITHIN for ratio in ratios)
        print(f"within 3 % of the quiet median: {rate(within, len(ratios))}; {ratios[0]:.3f} to {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
