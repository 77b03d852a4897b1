"""Error rates of `analyze history` on real series of CI runners.

    python -m benchmarks.change_points_on_ci_runs FILE.csv

FILE has the columns suite, bench, run_ms, commit, value and unit, such as the published results of
github-action-benchmark. Windows are 40 runs of a benchmark, each 10 runs after the last. Nothing is chosen by eye:

- A window is quiet unless Pettitt's rank test finds a change in its unprocessed times (Pettitt 1979, p < 0.01).
- Suites are split in two halves by a hash of their names. Parameters are chosen on the first half only.
- Shuffled windows have the same runs in a random order, whole runs or blocks of four, so that every change is an alarm.

`--otava P` also runs Apache Otava (`pip install apache-otava`) at that p-value, for steps of at least 5 %. Otava
searches each benchmark alone.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.trends.change_points import MIN_RUNS, find_change_points
from analyzer.trends.point import TIME, Point, dump_environment
from analyzer.trends.series import build_series
from benchmarks.change_points_on_simulated_runs import MAX_DISTANCE
from benchmarks.common import parse_options, rate

WINDOW, STRIDE = 40, 10
STEPS = (0.05, 0.1, 0.2)
LARGE_STEP = 0.5  # Added to the last MIN_RUNS runs.
BLOCKS = (1, 4)
QUIET_P = 0.01
HALVES = ("tuning", "held out")
OTAVA_MIN_CHANGE = 0.05
OPERATIONS_PER_TIME = ("ops/s", "ops/sec")

Changes = Callable[..., list[tuple[int, float]]]  # Of a window, a step and the run from which on it is added.
Run = tuple[int, str, float]  # Milliseconds since 1970, commit, and a time in any unit.


class Window(Frozen):
    """Runs of a benchmark, and the other benchmarks of the suite in the same period."""

    suite: str
    name: str
    runs: tuple[Run, ...]
    others: Mapping[str, tuple[Run, ...]]

    @property
    def half(self) -> str:
        return HALVES[int(hashlib.sha256(self.suite.encode()).hexdigest(), 16) % 2]

    @property
    def is_quiet(self) -> bool:
        return pettitt_p_value([run[2] for run in self.runs]) >= QUIET_P

    def changes(self, step: float = 0.0, at: int = 0) -> list[tuple[int, float]]:
        """Index and size of each change, after a step was added to the benchmark from run `at` on."""
        stepped = [(*run[:2], run[2] * (1 + step if index >= at else 1)) for index, run in enumerate(self.runs)]
        runs = [(run, name) for name, group in [(self.name, stepped), *self.others.items()] for run in group]
        points = [
            Point(f"{created:015}", "", commit, name, TIME, "", dump_environment({}), value)
            for (created, commit, value), name in sorted(runs)
        ]
        (series,) = build_series(points, model=self.name)
        return [(change.after, change.size) for change in find_change_points(series)]

    def otava_changes(self, p_value: float, step: float = 0.0, at: int = 0) -> list[tuple[int, float]]:
        """The changes that Otava finds. All runs are one of its windows: two windows raise ValueError (0.8.0)."""
        from otava.analysis import compute_change_points

        values = np.array([run[2] * (1 + step if index >= at else 1) for index, run in enumerate(self.runs)])
        steps, _ = compute_change_points(values, 2 * WINDOW, p_value, OTAVA_MIN_CHANGE)
        return [(change.index, change.stats.forward_rel_change()) for change in steps]

    def shuffled(self, generator: np.random.Generator, block: int) -> Window:
        """The window with its blocks of runs in a random order. The other benchmarks of a run move with it."""
        starts = [0, *range(int(generator.integers(block)) or block, len(self.runs), block), len(self.runs)]
        blocks = [range(*edges) for edges in pairwise(starts)]
        order = [index for number in generator.permutation(len(blocks)) for index in blocks[number]]
        moved = {self.runs[old][0]: self.runs[new][0] for new, old in enumerate(order)}

        def rearranged(runs: Sequence[Run]) -> tuple[Run, ...]:
            return tuple(sorted((moved[run[0]], "", run[2]) for run in runs if run[0] in moved))

        others = {name: rearranged(runs) for name, runs in self.others.items()}
        return self.replace(runs=rearranged(self.runs), others=others)


def pettitt_p_value(values: Sequence[float]) -> float:
    """Approximate p-value of "the values have one level" (Pettitt 1979, Applied Statistics 28)."""
    from scipy.stats import rankdata

    count = len(values)
    sums = np.cumsum(rankdata(values))[:-1]
    largest = float(np.max(np.abs(2 * sums - np.arange(1, count) * (count + 1))))
    return min(1.0, 2 * math.exp(-6 * largest**2 / (count**3 + count**2)))


def load_windows(file: Path) -> Iterator[Window]:
    suites: dict[str, dict[str, list[Run]]] = {}
    with file.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            unit, value = row["unit"].split("\t")[0], float(row["value"])
            if unit.endswith("Units"):
                continue  # Not a time.
            value = 1 / value if unit in OPERATIONS_PER_TIME else value
            run = int(row["run_ms"]), row["commit"], value
            suites.setdefault(row["suite"], {}).setdefault(row["bench"], []).append(run)
    for suite, benchmarks in suites.items():
        for name, runs in benchmarks.items():
            ordered = sorted(runs)
            for start in range(0, len(ordered) - WINDOW + 1, STRIDE):
                window = ordered[start : start + WINDOW]
                others = {
                    other: tuple(run for run in sorted(group) if window[0][0] <= run[0] <= window[-1][0])
                    for other, group in benchmarks.items()
                    if other != name
                }
                yield Window(suite, name, tuple(window), others)


def detected_share(windows: Sequence[Window], changes: Changes, step: float, generator: np.random.Generator) -> str:
    hits = 0
    for window in windows:
        at = WINDOW - MIN_RUNS
        if step != LARGE_STEP:
            at = int(generator.integers(MIN_RUNS + 2, WINDOW - MIN_RUNS))
        hits += any(abs(index - at) <= MAX_DISTANCE and size > 0 for index, size in changes(window, step=step, at=at))
    return rate(hits, len(windows))


def report(title: str, windows: Sequence[Window], changes: Changes = Window.changes) -> None:
    generator = np.random.default_rng(1)
    alarms = sum(bool(changes(window)) for window in windows)
    print(f"{title}: {len(windows)} windows; a change without an added step: {rate(alarms, len(windows))}")
    for step in (*STEPS, LARGE_STEP):
        print(f"  step of {step:+.0%} found: {detected_share(windows, changes, step, generator)}", flush=True)


def main() -> None:
    options = parse_options(__doc__, file=..., shuffles=4, otava=0.0)
    windows = list(load_windows(Path(options.file)))
    quiet = [window for window in windows if window.is_quiet]
    report("both halves, quiet", quiet)
    if options.otava:
        otava = partial(Window.otava_changes, p_value=options.otava)
        report(f"both halves, quiet, Otava at p = {options.otava:g}", quiet, otava)
    for half in HALVES:
        members = [window for window in windows if window.half == half]
        report(f"{half}, quiet", [window for window in members if window.is_quiet])
        report(f"{half}, all", members)
        for block in BLOCKS:
            generator = np.random.default_rng(2)
            shuffled = [window.shuffled(generator, block) for window in members for _ in range(options.shuffles)]
            alarms = sum(bool(window.changes()) for window in shuffled)
            print(f"  shuffled in blocks of {block}: {rate(alarms, len(shuffled))}")


if __name__ == "__main__":
    main()
