"""Where a series changed: steps that must be found, noise that must not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzer.history.change_points import (
    ChangePoint,
    change_with_interval,
    find_change_points,
    permutation_p_value,
    significance_level,
)
from analyzer.history.point import REFERENCE
from analyzer.history.series import Series, build_series
from tests.history.bench_files import points

NOISE = [0, 1, -1, 2, 0, -2, 1, 0, -1, 1]  # In percent; ten runs.


def times(step: float, start: float = 0.010, runs: int = 10) -> list[float]:
    """`runs` noisy runs at `start`, then as many at `start` times 1 + `step`."""
    noise = [NOISE[run % len(NOISE)] / 100 for run in range(runs)]
    return [start * (1 + error) for error in noise] + [start * (1 + step) * (1 + error) for error in reversed(noise)]


def series_of(values: list[float]) -> Series:
    (series,) = build_series(points(values))
    return series


def ends(series: Series) -> list[int]:
    return [change.after for change in find_change_points(series)]


def test_a_step_of_one_model_is_not_attributed_to_others():
    shifts = [1 + 0.3 * math.sin(run) for run in range(20)]
    models = {"grew": times(0.2), **{f"m{index}": times(0.0) for index in range(4)}}
    all_series = build_series(
        [
            point
            for name, values in models.items()
            for point in points([value * shift for value, shift in zip(values, shifts, strict=True)], name)
        ]
    )
    changes = {series.model: find_change_points(series) for series in all_series}
    (change,) = changes.pop("grew")
    assert (change.before, change.after) == (9, 10)
    assert change.size == pytest.approx(0.2, abs=0.02)
    assert change.low < 0.2 < change.high
    assert set(changes.values()) == {()}


def test_where_most_became_slower_the_others_are_not_faster():
    """Four of six models take 30 % longer from run 10 on. Relative to them the two others take less."""
    models = {
        **{f"slow{index}": times(0.3) for index in range(4)},
        **{f"same{index}": times(0.0) for index in range(2)},
    }
    all_series = build_series([point for name, values in models.items() for point in points(values, name)])
    changes = {series.model: find_change_points(series) for series in all_series}
    assert not [change for found in changes.values() for change in found if change.size < 0]


@pytest.mark.parametrize("named", [False, True])
def test_a_reference_removes_the_machines_influence(named):
    shifts = [1.0, 1.3] * 10
    net = points([value * shift for value, shift in zip(times(0.1), shifts, strict=True)])
    fixed = [0.002 * shift for shift in shifts]
    if named:
        all_series = build_series(net + points(fixed, "fixed"), model="net", reference="fixed")
    else:
        all_series = build_series(net + points(fixed, metric=REFERENCE))
    (series,) = all_series
    assert series.normalization == "reference"
    assert series.levels[1] == pytest.approx(math.log(0.010 * 1.01 / 0.002))
    assert ends(series) == [10]


@pytest.mark.parametrize(
    ("step", "runs", "expected"),
    [
        (0.25, 10, True),
        (-0.25, 10, True),
        (0.21, 10, True),
        (0.19, 10, False),  # Without a reference the limit is 20 %.
        (0.25, 5, True),
        (0.25, 4, False),
    ],
)
def test_without_a_reference_five_runs_a_side_and_20_percent_are_needed(step, runs, expected):
    assert ends(series_of(times(step, runs=runs))) == ([runs] if expected else [])


@pytest.mark.parametrize(("step", "expected"), [(0.06, True), (0.04, False)])
def test_with_a_reference_5_percent_are_needed(step, expected):
    (series,) = build_series(points(times(step)) + points([0.002] * 20, metric=REFERENCE))
    assert ends(series) == ([10] if expected else [])


def test_two_steps():
    changes = find_change_points(series_of(times(0.3) + times(0.0)))
    assert [(change.after, round(change.size, 1)) for change in changes] == [(10, 0.3), (20, -0.2)]


def test_a_short_visit_to_another_level():
    """Neither step alone explains anything: both must be searched together."""
    assert ends(series_of(times(0.0) + [0.013] * 8 + times(0.0))) == [20, 28]


def test_one_outlier_is_no_change():
    values = times(0.0)
    values[7] *= 3
    assert ends(series_of(values)) == []


@pytest.mark.parametrize("values", [[0.01], [0.01] * 40])
def test_constant_times_have_no_change(values):
    assert ends(series_of(values)) == []


def test_a_step_without_noise_is_exact():
    changes = find_change_points(series_of([0.01] * 8 + [0.02] * 8))
    assert changes == (ChangePoint(7, 8, *[pytest.approx(1.0)] * 3),)


def test_every_difference_of_a_count_is_a_change():
    (series,) = build_series(points([100, 100, 110, 110, 0, 50], metric="macs"), "macs")
    changes = [(change.before, change.after, change.size) for change in find_change_points(series)]
    assert changes == [(1, 2, pytest.approx(110 / 100 - 1)), (3, 4, -1.0), (4, 5, math.inf)]


def test_the_p_value_is_the_share_of_permutations():
    separated = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0, 1.1, 1.2, 1.3, 1.4])
    # 2 of the 252 ways to choose five of ten put all small values on one side.
    assert permutation_p_value(separated, 5) == pytest.approx(2 / 252, abs=0.005)
    assert permutation_p_value(separated, 5) < significance_level(10, 5) == 3 / 252
    assert permutation_p_value(separated / 100, 5) == 1.0  # The medians differ by 1 %.
    assert permutation_p_value(np.tile([0.0, 1.0], 10), 10) == 1.0


def test_a_long_series_is_permuted_in_batches(monkeypatch):
    separated = np.concatenate([NOISE * 3, np.array(NOISE * 3) + 2.0])
    at_once = permutation_p_value(separated, 30)
    monkeypatch.setattr("analyzer.history.change_points.MAX_ARRAY_SIZE", 7 * len(separated))
    assert permutation_p_value(separated, 30) == pytest.approx(at_once, abs=0.01)


def test_without_noise_the_interval_is_a_point():
    assert change_with_interval(np.zeros(5), np.full(5, math.log(1.25))) == pytest.approx((0.25, 0.25, 0.25))
