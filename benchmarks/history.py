"""How often `analyze history` is wrong: `python -m benchmarks.history`.

Series of simulated runs with the noise that shared machines have: a shift that all benchmarks of a run share and that
wanders from run to run, a drift of each benchmark's own, noise with heavy tails, and runs that were disturbed. Half of
the windows are quiet, half have one step in one benchmark. Intervals are exact, 95 %.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.history.change_points import LEAST_RUNS, changes
from analyzer.history.point import TIME, Point, packed
from analyzer.history.series import Series, series

RUNS = 40
NEAR = 3  # A step is found if a change stands within so many runs of it, in its direction.


class Noise(Frozen):
    """Standard deviations of logarithms. `wander` and `drift` are forgotten after `memory` runs."""

    shift: float = 0.08  # Of all times of a run, anew each run.
    wander: float = 0.06  # Of all times, slowly: a machine that others use more some weeks.
    drift: float = 0.01  # Of one benchmark, slowly.
    own: float = 0.025  # Of one benchmark, each run, with Student's t of three degrees for a tail.
    disturbed: float = 0.03  # So many runs of a benchmark are up to twice as long.
    memory: int = 12


def window(rng: np.random.Generator, benchmarks: int, noise: Noise, step: float, at: int) -> list[Point]:
    """The points of one window: `step` is in benchmark 0 from run `at` on, as a ratio less 1."""
    shared = rng.normal(0, noise.shift, RUNS) + slow(rng, noise.wander, noise.memory)
    points = []
    for number in range(benchmarks):
        logs = math.log(10 ** rng.uniform(-5, 0)) + shared + slow(rng, noise.drift, noise.memory)
        logs += noise.own * rng.standard_t(3, RUNS) / math.sqrt(3)
        logs += np.where(rng.random(RUNS) < noise.disturbed, rng.uniform(0, math.log(2), RUNS), 0)
        if number == 0:
            logs[at:] += math.log1p(step)
        points += [
            Point(f"{run:03}", "", None, f"b{number}", TIME, "", packed({}), math.exp(log))
            for run, log in enumerate(logs)
        ]
    return points


def slow(rng: np.random.Generator, spread: float, memory: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A wandering level (Ornstein-Uhlenbeck): its spread over a long time, and the runs after which it is forgotten."""
    keep = math.exp(-1 / memory)
    level, levels = rng.normal(0, spread), []
    for kick in rng.normal(0, spread * math.sqrt(1 - keep**2), RUNS):
        level = keep * level + kick
        levels.append(level)
    return np.array(levels)


def watched(points: Sequence[Point], number: int = 0) -> Series:
    return next(one for one in series(points) if one.model == f"b{number}")


def exact(hits: int, trials: int) -> str:
    """`2 of 400, 0.5 % (0.1 to 1.8)`: Clopper and Pearson's interval."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0
    return f"{hits} of {trials}, {100 * hits / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def arms(trials: int) -> Iterator[tuple[str, int, Noise]]:
    yield "20 benchmarks", 20, Noise()
    yield "5 benchmarks", 5, Noise()
    yield "4 benchmarks", 4, Noise()
    yield "5, noise doubled", 5, Noise(own=0.05, drift=0.02)
    yield "1 benchmark, nothing to hold it against", 1, Noise()


def main(trials: int = 1000) -> None:
    for title, benchmarks, noise in arms(trials):
        rng = np.random.default_rng(20261124)
        alarms = sum(bool(changes(watched(window(rng, benchmarks, noise, 0.0, 0)))) for _ in range(trials))
        print(f"{title}: quiet windows of {RUNS} runs that alarm: {exact(alarms, trials)}")
        for step in (0.1, 0.2, -0.2):
            found = extra = inside = beside = 0
            for _ in range(trials):
                at = int(rng.integers(LEAST_RUNS, RUNS - LEAST_RUNS + 1))
                points = window(rng, benchmarks, noise, step, at)
                said = changes(watched(points))
                beside += bool(benchmarks > 1 and changes(watched(points, 1)))
                right = [one for one in said if abs(one.after - at) <= NEAR and one.size * step > 0]
                found += bool(right)
                extra += len(said) > len(right[:1])
                inside += bool(right) and right[0].low <= step <= right[0].high
            print(f"  {step:+.0%}: found {exact(found, trials)}; another place named: {exact(extra, trials)}; "
                  f"in its neighbour: {exact(beside, trials)}; "
                  f"interval holds it: {100 * inside / max(found, 1):.0f} %")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
