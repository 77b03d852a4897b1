"""Points of records, and series without the machine's influence."""

from __future__ import annotations

import pytest

from analyzer.cli.commands.history import METRICS as COMMAND_METRICS
from analyzer.core.units import METRICS as UNITS
from analyzer.trends.point import (
    METRICS,
    REFERENCE,
    TIME,
    dump_environment,
    load_environment,
    record_points,
    utc_timestamp,
)
from analyzer.trends.series import ALL, build_series, environment_differences
from tests.timed_records import timed
from tests.trends.bench_files import points


def test_what_all_times_of_a_run_share_is_removed():
    shifts = [1.0, 1.5, 0.8, 1.2, 1.0, 1.1]
    models = {f"m{index}": [0.001 * (index + 1) * shift for shift in shifts] for index in range(4)}
    all_series = build_series([point for name, values in models.items() for point in points(values, name)])
    *all_series, common = all_series
    assert {series.normalization for series in all_series} == {"shared"}
    assert common.model == ALL
    assert [point.value for point in common.points] == pytest.approx([shift / 1.05 for shift in shifts], rel=0.01)
    for index, series in enumerate(all_series):
        assert len(series.levels) == len(shifts)
        assert max(series.levels) - min(series.levels) == pytest.approx(0, abs=1e-12)
        assert series.points[1].value == 0.001 * (index + 1) * 1.5


def test_environments_are_separate_and_named_by_what_differs():
    all_series = build_series(points([0.01] * 3) + points([0.02] * 3, environment="there"))
    assert [len(series.points) for series in all_series] == [3, 3]
    assert environment_differences(all_series) == {("net", ""): ["processor"]}


def test_void_times_are_counted_and_left_out():
    times = points([0.01] * 3)
    (series,) = build_series([times[0].replace(quality="void"), *times[1:]])
    assert (len(series.points), series.void) == (2, 1)


def test_a_record_has_a_time_and_counts():
    record = timed("nin", batch=8)
    by_metric = {point.metric: point for point in record_points(record, "run.json")}
    assert by_metric[TIME].value == record.measurement.pass_timing.median_s
    assert by_metric[TIME].configuration == "batch 8, 2 threads"
    assert load_environment(by_metric[TIME].environment)["processor"] == "Example CPU 3 GHz 6 1"
    assert by_metric["macs"].value == record.totals.macs
    assert by_metric["macs"].configuration == "8x3x224x224, inference"
    assert by_metric["peak_memory"].value == record.memory.peak
    assert set(by_metric) <= {*METRICS, REFERENCE}


def test_a_record_of_an_unknown_machine():
    (point,) = (point for point in record_points(timed("nin", environment={}), "run") if point.metric == TIME)
    assert load_environment(point.environment) == {"machine": "unknown"}
    assert dump_environment({"b": "1", "a": "2"}) == dump_environment({"a": "2", "b": "1"})


def test_the_command_offers_every_metric_and_each_has_a_unit():
    assert set(COMMAND_METRICS) == set(METRICS)
    assert set(METRICS) - {TIME} <= set(UNITS)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05Z"),
        ("2026-01-02T03:04:05.678", "2026-01-02T03:04:05Z"),
        ("0001-01-01T00:00:00+10:00", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_a_timestamp_is_utc_to_the_second(text, timestamp):
    assert utc_timestamp(text) == timestamp
