"""Where a series changed: steps that must be found, noise that must not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzer.trends.change_points import (
    ChangePoint,
    change_with_interval,
    find_change_points,
    find_trend,
    propose_change_points,
    without_explained,
)
from analyzer.trends.point import REFERENCE, Point
from analyzer.trends.series import ALL, Series, build_series
from tests.trends.bench_files import points

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


@pytest.mark.parametrize("others", [1, 2])
def test_with_one_or_two_others_a_step_is_attributed_to_the_benchmark_that_changed(others):
    """The quotient of two times shows that one of them changed, the times themselves which."""
    shifts = [1 + 0.1 * math.sin(run) for run in range(20)]
    names = {"grew": times(0.2), **{f"m{index}": times(0.0) for index in range(others)}}
    all_series = build_series(
        [
            point
            for name, values in names.items()
            for point in points([value * shift for value, shift in zip(values, shifts, strict=True)], name)
        ]
    )
    assert {series.normalization for series in all_series if series.model != ALL} == {"shared"}
    expected = {**{name: [] for name in [*names, ALL]}, "grew": [10]}
    assert {series.model: ends(series) for series in all_series} == expected


@pytest.mark.parametrize(("noise", "machine", "unattributed"), [(0.25, 0.915, [10]), (0.05, 1.0, [])])
def test_growth_that_the_machine_hides_is_named_as_unattributed(noise, machine, unattributed):
    """One of two benchmarks grew, or the other shrank: a noisy machine that became faster hides which of them."""
    shifts = [(1 + noise) ** (-1) ** run * (machine if run >= 10 else 1) for run in range(20)]
    models = {"grew": times(0.2), "other": times(0.0)}
    trends = without_explained(
        [
            find_trend(series)
            for series in build_series(
                [
                    point
                    for name, values in models.items()
                    for point in points([v * s for v, s in zip(values, shifts, strict=True)], name)
                ]
            )
        ]
    )
    changes = {trend.series.model: (len(trend.changes), [c.after for c in trend.unattributed]) for trend in trends}
    assert changes == {"grew": (0 if unattributed else 1, unattributed), "other": (0, []), ALL: (0, [])}


def test_another_benchmark_is_no_divisor_if_it_adds_noise():
    noisy = [0.01 * (1.5 if run % 2 else 1.0) for run in range(20)]
    first, second, common = build_series([*points(times(0.2), "net"), *points(noisy, "noisy")])
    assert (first.normalization, ends(first)) == ("none", [10])
    assert (common.model, ends(second), ends(common)) == (ALL, [], [])


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("benchmarks", [2, 3])
def test_a_step_of_all_of_two_or_three_benchmarks_is_that_of_none_alone(benchmarks, noisy):
    """Also if quotients are noisier than times, which then are not divided."""
    models = {"net": times(0.4), **{f"m{index}": times(0.4) for index in range(1, benchmarks)}}
    if noisy:
        spread = [1.08 if run % 2 else 1.0 for run in range(20)]
        models["m1"] = [value * factor for value, factor in zip(models["m1"], spread, strict=True)]
    all_series = build_series([point for name, values in models.items() for point in points(values, name)])
    changes = {series.model: find_change_points(series) for series in all_series}
    (common,) = changes.pop(ALL)
    assert (common.after, common.size) == (10, pytest.approx(0.4, abs=0.03))
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
    (common,) = changes[ALL]
    assert (common.after, common.size) == (10, pytest.approx(0.3, abs=0.02))


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
    ("step", "runs", "noise", "expected"),
    [
        (0.06, 10, 1, True),  # The noise of the series decides, and not a fixed limit.
        (-0.06, 10, 1, True),
        (0.06, 10, 4, False),
        (0.25, 10, 4, True),
        (0.03, 10, 0.1, False),
        (0.5, 4, 1, True),
        (0.5, 3, 1, False),
    ],
)
def test_the_smallest_change_follows_the_noise(step, runs, noise, expected):
    values = [0.01 * (1 + step * (run >= 12)) * (1 + NOISE[run * 7 % 10] * noise / 100) for run in range(12 + runs)]
    assert ends(series_of(values)) == ([12] if expected else [])


def test_the_detectable_change_follows_the_noise():
    quiet, noisy = (find_trend(series_of([0.01 * (1 + n * k / 100) for n in NOISE * 2])).detectable for k in (0.2, 5))
    assert quiet == pytest.approx(0.04)
    assert 0.15 < noisy < 0.6
    assert find_trend(series_of([0.01] * 3)).detectable is None


def test_two_runs_of_a_commit_are_never_separated():
    """The step is between two runs of one commit: it is moved to the next commit, or left out."""
    all_points = points(times(0.3))
    same = [point.replace(commit="0000009") if 8 <= run <= 10 else point for run, point in enumerate(all_points)]
    (series,) = build_series(same)
    assert ends(series) in ([8], [11])
    one_commit: list[Point] = [point.replace(commit="0000009") for point in all_points]
    assert ends(build_series(one_commit)[0]) == []


def test_two_steps():
    changes = find_change_points(series_of(times(0.3) + times(0.0)))
    assert [(change.after, round(change.size, 1)) for change in changes] == [(10, 0.3), (20, -0.2)]


def test_a_short_visit_to_another_level():
    """Neither step alone explains anything: both must be searched together."""
    assert ends(series_of(times(0.0) + [0.013] * 8 + times(0.0))) == [20, 28]


@pytest.mark.parametrize("seed", [9, 21, 303])
def test_superfluous_proposals_do_not_hide_a_change(seed):
    """Between the superfluous proposals the change at run 8 has too few runs for its test."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(0, 0.01, 40) + np.where(np.arange(40) < 8, 0, 0.15)
    levels[rng.random(40) < 0.08] += 0.1
    assert len(propose_change_points(levels)) > 1
    assert ends(series_of(list(np.exp(levels)))) == [8]


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


def test_without_noise_the_interval_is_a_point():
    assert change_with_interval(np.zeros(5), np.full(5, math.log(1.25))) == pytest.approx((0.25, 0.25, 0.25))
