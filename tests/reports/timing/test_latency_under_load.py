"""Latency under load as a table, and the highest load that keeps a limit."""

from __future__ import annotations

import pytest

import analyzer
from analyzer.records.timings import Timing
from analyzer.timing.load_options import LatencyLimit
from reports.timing.latency_under_load import load_tables
from tests.timing.pretended import timed

LIMIT = LatencyLimit("p90", 0.05)


@pytest.fixture
def record():
    """A pass of 10 ms; a tenth of 100 requests is long from 40 requests per second on, and 200/s is an overload."""
    record = timed(analyzer.count("googlenet"))
    loads = {"50/s": [0.02] * 80 + [0.2] * 20, "20/s": [0.02] * 99 + [0.2], "200/s": [9.0] * 100}
    timings = [Timing("", op, 1, "latency", "pass", tuple(taken), "trusted") for op, taken in loads.items()]
    return record.replace(measurement=record.measurement.replace(timings=(*record.measurement.timings, *timings)))


def test_loads_are_sorted_and_an_overload_has_no_percentiles(record):
    (table,) = load_tables(record, LIMIT)
    assert [[getattr(cell, "text", cell) for cell in row] for row in table.rows] == [
        ["20/s", "20.0 %", "20.00 ms", "20.00 ms", "20.00 ms", "200.0 ms", "100"],
        ["50/s", "50.0 %", "20.00 ms", "200.0 ms", "200.0 ms", "200.0 ms", "100"],
        ["200/s", "100 %", "-", "-", "-", "-", "100"],
    ]
    assert table.notes[-1] == "Highest load within p90 of 50.00 ms: 20/s; 50/s broke it."
    assert "no percentiles" in table.notes[1]
    assert load_tables(timed(record), LIMIT) == []


def test_no_load_keeps_an_impossible_limit(record):
    (table,) = load_tables(record, LatencyLimit("p99", 0.001))
    assert "No load kept" in table.notes[-1]
