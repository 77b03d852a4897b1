"""Error rates of `analyze history` on simulated runs.

    python -m benchmarks.change_points_on_simulated_runs [--trials 1000]

The runs have the noise of shared machines: a shift that all benchmarks of a run share and that drifts between runs,
a drift of each benchmark, noise with heavy tails, and disturbed runs. Half of the windows are quiet, half have a step
in one benchmark. Rates have exact 95 % confidence intervals (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.trends.change_points import MIN_RUNS, find_change_points
from analyzer.trends.point import TIME, Point, dump_environment
from analyzer.trends.series import Series, build_series
from benchmarks.common import parse_options, rate

RUNS = 40
SLOWER_FACTOR = 1.15
MAX_DISTANCE = 3  # Runs between a step and a change point of the same direction that counts as finding it.


class Noise(Frozen):
    """Standard deviations of logarithms. `wander` and `drift` decorrelate over `memory` runs."""

    shift: float = 0.08  # Of all times of a run, independent between runs.
    wander: float = 0.06  # Of all times, slowly: other load varies by the week.
    drift: float = 0.01  # Of one benchmark, slowly.
    single: float = 0.025  # Of one benchmark and run: Student's t with three degrees of freedom.
    disturbed: float = 0.03  # Share of a benchmark's runs that take up to twice as long.
    memory: int = 12
    slower: float = 0.0  # Share of runs on a second kind of runner, which takes SLOWER_FACTOR times as long.


CASES = (
    ("20 benchmarks", 20, Noise()),
    ("5 benchmarks", 5, Noise()),
    ("4 benchmarks", 4, Noise()),
    ("5 benchmarks, noise doubled", 5, Noise(single=0.05, drift=0.02)),
    ("3 benchmarks", 3, Noise()),
    ("2 benchmarks", 2, Noise()),
    ("1 benchmark", 1, Noise()),
    ("1 benchmark on a quiet machine", 1, Noise(shift=0, wander=0, single=0.02)),
    ("1 benchmark, two kinds of runners", 1, Noise(shift=0, wander=0, drift=0, single=0.01, disturbed=0, slower=0.2)),
)


def window(generator: np.random.Generator, benchmarks: int, noise: Noise, step: float, at: int) -> list[Point]:
    """The points of one window; benchmark 0 changes by `step` (a ratio minus 1) from run `at` on."""
    shared = generator.normal(0, noise.shift, RUNS) + wandering(generator, noise.wander, noise.memory)
    if noise.slower:
        shared += np.where(generator.random(RUNS) < noise.slower, math.log(SLOWER_FACTOR), 0)
    points = []
    for number in range(benchmarks):
        logs = math.log(10 ** generator.uniform(-5, 0)) + shared + wandering(generator, noise.drift, noise.memory)
        logs += noise.single * generator.standard_t(3, RUNS) / math.sqrt(3)
        disturbed = generator.random(RUNS) < noise.disturbed
        logs += np.where(disturbed, generator.uniform(0, math.log(2), RUNS), 0)
        if number == 0:
            logs[at:] += math.log1p(step)
        points += [
            Point(f"{run:03}", "", None, f"b{number}", TIME, "", dump_environment({}), math.exp(log))
            for run, log in enumerate(logs)
        ]
    return points


def wandering(
    generator: np.random.Generator, spread: float, memory: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """An Ornstein-Uhlenbeck process with this stationary standard deviation and correlation time, in runs."""
    decay = math.exp(-1 / memory)
    start = generator.normal(0, spread)
    changes = generator.normal(0, spread * math.sqrt(1 - decay**2), RUNS)
    return np.array(list(accumulate(changes, lambda level, change: decay * level + change, initial=start))[1:])


def series_of(points: Sequence[Point], number: int = 0) -> Series:
    return next(series for series in build_series(points) if series.model == f"b{number}")


def main() -> None:
    trials = parse_options(__doc__, trials=1000).trials
    for title, benchmarks, noise in CASES:
        generator = np.random.default_rng(20261124)
        alarms = sum(
            bool(find_change_points(series_of(window(generator, benchmarks, noise, 0.0, 0)))) for _ in range(trials)
        )
        print(f"{title}: false alarms in quiet windows of {RUNS} runs: {rate(alarms, trials)}")
        for step in (0.05, 0.1, 0.2, -0.2):
            hits = elsewhere = covered = other = 0
            for _ in range(trials):
                at = int(generator.integers(MIN_RUNS, RUNS - MIN_RUNS + 1))
                points = window(generator, benchmarks, noise, step, at)
                changes = find_change_points(series_of(points))
                other += bool(benchmarks > 1 and find_change_points(series_of(points, 1)))
                right = [point for point in changes if abs(point.after - at) <= MAX_DISTANCE and point.size * step > 0]
                hits += bool(right)
                elsewhere += len(changes) > len(right[:1])
                covered += bool(right) and right[0].low <= step <= right[0].high
            print(
                f"  step of {step:+.0%}: found {rate(hits, trials)}; a change elsewhere: {rate(elsewhere, trials)}; "
                f"in another benchmark: {rate(other, trials)}; "
                f"step within the interval: {100 * covered / max(hits, 1):.0f} %"
            )


if __name__ == "__main__":
    main()
