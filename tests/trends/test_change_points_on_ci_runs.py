"""Error rates of the search for changes on real series of hosted runners.

tests/reference/hosted_runners_go.csv is one suite of the public results of benchmark-action/github-action-benchmark
(MIT). Windows of 40 runs, some with a step of known size. The parameters were compared on this suite and on others, so
these rates are no independent estimate; docs/history.md has one by simulation.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest

from analyzer.trends.change_points import find_change_points
from analyzer.trends.point import TIME, Point, dump_environment
from analyzer.trends.series import build_series
from tests.conftest import REFERENCE

BENCHMARKS = ("BenchmarkFib10", "BenchmarkFib20")
WINDOW, STRIDE, MAX_DISTANCE = 40, 10, 3


def windows() -> list[list[tuple[str, str, float]]]:
    """The runs of each window: benchmark, commit, nanoseconds."""
    with (REFERENCE / "hosted_runners_go.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["bench"], row["commit"], float(row["value"])) for row in csv.DictReader(file)]
    per_run = len(BENCHMARKS)
    runs = len(rows) // per_run
    return [rows[start * per_run : (start + WINDOW) * per_run] for start in range(0, runs - WINDOW + 1, STRIDE)]


def changes(rows, name, step=0.0, at=0):
    """(index, size) of the changes found in a benchmark that takes 1 + step times as long from run `at` on."""
    points = [
        Point(f"{index // 2:03}", "", commit, bench, TIME, "", dump_environment({}),
              value * (1 + step if bench == name and index // 2 >= at else 1))
        for index, (bench, commit, value) in enumerate(rows)
    ]  # fmt: skip
    (series,) = build_series(points, model=name)
    return [(change.after, change.size) for change in find_change_points(series)]


def test_quiet_windows_raise_few_alarms():
    alarms = [bool(changes(rows, name)) for rows in windows() for name in BENCHMARKS]
    assert np.mean(alarms) <= 0.02


@pytest.mark.parametrize(("step", "share"), [(0.05, 0.25), (0.1, 0.6), (0.2, 0.75)])
def test_steps_are_found(step, share):
    rng = np.random.default_rng(1)
    hits = []
    for rows in windows():
        for name in BENCHMARKS:
            at = int(rng.integers(6, WINDOW - 4))
            hits.append(any(abs(i - at) <= MAX_DISTANCE and size > 0 for i, size in changes(rows, name, step, at)))
    assert np.mean(hits) >= share


def test_a_step_of_half_is_found_within_four_runs():
    hits = [bool(changes(rows, name, 0.5, WINDOW - 4)) for rows in windows() for name in BENCHMARKS]
    assert np.mean(hits) >= 0.9
