"""A series without its machine, and where it changed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzer.core.units import METRICS as UNITS
from analyzer.history.change_points import Change, bar, changes, doubt, sized
from analyzer.history.point import METRICS, REFERENCE, TIME, moment, of_record, packed, unpacked
from analyzer.history.series import incomparable, series
from tests.history.made import points
from tests.timed_records import MACHINE, timed

QUIET = [0, 1, -1, 2, 0, -2, 1, 0, -1, 1]  # In percent; ten runs.


def times(step: float, start: float = 0.010, runs: int = 10) -> list[float]:
    """So many quiet runs at `start`, then as many at `start` times 1 + `step`."""
    noise = [QUIET[run % len(QUIET)] / 100 for run in range(runs)]
    return [start * (1 + one) for one in noise] + [start * (1 + step) * (1 + one) for one in reversed(noise)]


def alone(values: list[float]):
    (one,) = series(points(values))
    return one


def test_what_every_time_of_a_run_shares_is_taken_out():
    slow = [1.0, 1.5, 0.8, 1.2, 1.0, 1.1]
    models = {f"m{number}": [0.001 * (number + 1) * shift for shift in slow] for number in range(4)}
    found = series([point for name, values in models.items() for point in points(values, name)])
    assert {one.against for one in found} == {"shared"}
    for number, one in enumerate(found):
        # Every run was as long as its shift says, so that nothing of it is left.
        assert len(one.levels) == len(slow)
        assert max(one.levels) - min(one.levels) == pytest.approx(0, abs=1e-12)
        assert one.points[1].value == 0.001 * (number + 1) * 1.5


def test_of_three_times_of_a_run_nobody_can_say_which_moved():
    models = [point for number in range(3) for point in points(times(0.2), f"m{number}")]
    assert {one.against for one in series(models)} == {"nothing"}


def test_a_step_of_one_model_is_its_own_and_not_its_neighbours():
    shift = [1 + 0.3 * math.sin(run) for run in range(20)]
    models = {"grew": times(0.2), **{f"m{number}": times(0.0) for number in range(4)}}
    found = series(
        [
            point
            for name, values in models.items()
            for point in points([value * by for value, by in zip(values, shift, strict=True)], name)
        ]
    )
    said = {one.model: changes(one) for one in found}
    (change,) = said.pop("grew")
    assert (change.before, change.after) == (9, 10)
    assert change.size == pytest.approx(0.2, abs=0.02)
    assert change.low < 0.2 < change.high
    assert set(said.values()) == {()}


def test_a_reference_of_the_same_run_comes_before_what_is_shared():
    slow = [1.0, 1.3] * 10
    net = points([value * by for value, by in zip(times(0.1), slow, strict=True)])
    fixed = points([0.002 * by for by in slow], metric=REFERENCE)
    (one,) = series(net + fixed)
    assert one.against == "reference"
    assert one.levels[1] == pytest.approx(math.log(0.010 * 1.01 / 0.002))
    assert [change.after for change in changes(one)] == [10]


def test_a_benchmark_may_be_named_as_the_reference():
    slow = [1.0, 1.3] * 10
    net = points([value * by for value, by in zip(times(0.1), slow, strict=True)])
    (one,) = series(net + points([0.5 * by for by in slow], "fixed"), model="net", reference="fixed")
    assert one.against == "reference"
    assert [change.after for change in changes(one)] == [10]


def test_environments_are_never_joined_and_named_by_what_differs():
    found = series(points(times(0.0)) + points(times(0.5), environment="there"))
    assert [len(one.points) for one in found] == [20, 20]
    assert incomparable(found) == {("net", ""): ["processor"]}


def test_void_times_are_left_out_and_counted():
    made = points(times(0.0))
    (one,) = series([made[0].replace(quality="void"), *made[1:]])
    assert (len(one.points), one.void) == (19, 1)


@pytest.mark.parametrize(
    ("step", "runs", "named"),
    [
        (0.25, 10, True),
        (-0.25, 10, True),
        (0.21, 10, True),
        (0.19, 10, False),  # Held against nothing: the machine's as much as the code's.
        (0.25, 5, True),
        (0.25, 4, False),
    ],
)
def test_five_runs_a_side_and_twenty_percent_of_a_time_alone(step, runs, named):
    found = changes(alone(times(step, runs=runs)))
    assert [change.after for change in found] == ([runs] if named else [])


@pytest.mark.parametrize(("step", "named"), [(0.06, True), (0.04, False)])
def test_five_percent_of_a_time_that_is_held_against_something(step, named):
    (one,) = series(points(times(step)) + points([0.002] * 20, metric=REFERENCE))
    assert [change.after for change in changes(one)] == ([10] if named else [])


def test_up_and_down_again_are_two_changes():
    values = times(0.3) + times(0.0)
    assert [(change.after, round(change.size, 1)) for change in changes(alone(values))] == [(10, 0.3), (20, -0.2)]


def test_a_short_visit_to_another_level_is_two_changes_too():
    """One cut alone explains nothing of it, wherever it is: both must be looked for together."""
    values = times(0.0) + [0.013] * 8 + times(0.0)
    assert [change.after for change in changes(alone(values))] == [20, 28]


def test_one_disturbed_run_is_no_change():
    values = times(0.0)
    values[7] *= 3
    assert changes(alone(values)) == ()


@pytest.mark.parametrize("values", [[], [0.01], [0.01] * 40])
def test_nothing_happened(values):
    assert [change for one in series(points(values)) for change in changes(one)] == []


def test_an_exact_step_is_exact():
    assert changes(alone([0.01] * 8 + [0.02] * 8)) == (Change(7, 8, *[pytest.approx(1.0)] * 3),)


def test_every_difference_of_a_count_is_a_change():
    (one,) = series(points([100, 100, 110, 110, 0, 50], metric="macs"), "macs")
    found = [(change.before, change.after, change.size) for change in changes(one)]
    assert found == [(1, 2, pytest.approx(110 / 100 - 1)), (3, 4, -1.0), (4, 5, math.inf)]


def test_doubt_is_how_often_chance_does_as_well():
    apart = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0, 1.1, 1.2, 1.3, 1.4])
    # 2 of the 252 ways to choose five of ten put all small ones on one side.
    assert doubt(apart, 5) == pytest.approx(2 / 252, abs=0.005)
    assert doubt(apart, 5) < bar(10, 5) == 3 / 252
    assert doubt(apart / 100, 5) == 1.0  # The medians differ by 1 %.
    assert doubt(np.tile([0.0, 1.0], 10), 10) == 1.0


def test_a_long_series_is_held_in_parts(monkeypatch):
    apart = np.concatenate([QUIET * 3, np.array(QUIET * 3) + 2.0])
    whole = doubt(apart, 30)
    monkeypatch.setattr("analyzer.history.change_points.ROOM", 7 * len(apart))
    assert doubt(apart, 30) == pytest.approx(whole, abs=0.01)


def test_an_interval_holds_the_size_and_is_a_point_without_noise():
    assert sized(np.zeros(5), np.full(5, math.log(1.25))) == pytest.approx((0.25, 0.25, 0.25))


def test_a_record_gives_its_time_its_counts_and_no_names():
    record = timed("nin", batch=8)
    found = {point.metric: point for point in of_record(record, "run.json")}
    assert found[TIME].value == record.measurement.pass_timing.median_s
    assert found[TIME].configuration == "batch 8, 2 threads"
    assert unpacked(found[TIME].environment)["processor"] == "Example CPU 3 GHz 6 1"
    assert found["macs"].value == record.totals.macs
    assert found["macs"].configuration == "8x3x224x224, inference"
    assert found["peak_memory"].value == record.memory.peak
    assert set(found) <= {*METRICS, REFERENCE}
    assert set(METRICS) - {TIME} <= set(UNITS)


def test_a_record_of_an_unknown_machine_says_so():
    (point,) = (point for point in of_record(timed("nin", environment={}), "run") if point.metric == TIME)
    assert unpacked(point.environment) == {"machine": "unknown"}
    assert MACHINE
    assert packed({"b": "1", "a": "2"}) == packed({"a": "2", "b": "1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05Z"),
        ("2026-01-02T03:04:05.678", "2026-01-02T03:04:05Z"),
        ("0001-01-01T00:00:00+10:00", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_a_moment_is_utc_to_the_second(text, said):
    assert moment(text) == said
