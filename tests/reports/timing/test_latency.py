"""Percentiles, first call and memory of a pass, in the table, in JSON and in CSV."""

from __future__ import annotations

import csv
import io
import json

import pytest

import analyzer
from analyzer.cli.jobs.time import _values
from analyzer.records.timings import Timing
from reports.timing.csv import timings_csv
from reports.timing.latency import figures, latency_table
from reports.timing.pass_tables import pass_table
from tests.timing.pretended import timed


@pytest.fixture
def record():
    """Passes of 1 to 200 ms, a first call of 0.5 s in two processes, 300 MB."""
    record = timed(analyzer.count("googlenet"))
    samples = tuple(number / 1000 for number in range(200, 0, -1))
    timings = [
        timing.replace(samples_s=samples, processes=(200,)) if timing.kind == "pass" else timing
        for timing in record.measurement.timings
    ]
    first = Timing("", "first_call", 1, "first_call", "forward", (0.4, 0.6), "trusted", "", (1, 1))
    measurement = record.measurement.replace(timings=(*timings, first), peak_memory_bytes=3 * 10**8)
    return record.replace(measurement=measurement)


def test_percentiles_are_samples(record):
    """Of 200 samples, 198 do not exceed p99."""
    assert figures(record.measurement) == {
        "p50_s": 0.100, "p90_s": 0.180, "p99_s": 0.198, "max_s": 0.200, "first_call_s": 0.5, "compile_s": None,
        "peak_memory_bytes": 3 * 10**8, "energy_j": None,
    }  # fmt: skip


def test_no_percentile_without_a_sample_above_it_or_of_joined_passes(record):
    timing = record.measurement.pass_timing
    assert timing.replace(samples_s=timing.samples_s[:99]).percentile_s(0.99) is None
    assert timing.replace(samples_s=timing.samples_s[:100]).percentile_s(0.99) == 0.199
    assert timing.replace(samples_s=(0.1,)).percentile_s(0.5) is None
    joined = figures(record.measurement.replace(passes_per_sample=20))
    assert joined["p50_s"] is joined["max_s"] is None
    assert joined["first_call_s"] == 0.5


def test_the_table_json_and_csv(record):
    (table,) = latency_table([record], ["-"])
    assert [str(cell) for cell in table.rows[0][1:]] == [
        "100.0 ms", "180.0 ms", "198.0 ms", "200.0 ms", "500.0 ms", "300 MB",
    ]  # fmt: skip
    assert latency_table([timed(record)], ["-"]) == []  # As records of earlier versions.
    data = json.loads(_values([record], True, None, "json"))["records"][0]
    assert data["latency"]["p99_s"] == 0.198
    assert analyzer.load is not None
    rows = list(csv.DictReader(io.StringIO(timings_csv([record]))))
    assert [(row["p90_s"], row["max_s"]) for row in rows if row["kind"] == "pass"] == [("0.18", "0.2")]
    assert {row["p90_s"] for row in rows if row["kind"] != "pass"} == {""}


def test_a_note_about_several_configurations_is_shown_once(record):
    runs = [timed(record, batch=batch) for batch in (1, 2, 4, 8)]
    records = [run.replace(measurement=run.measurement.replace(warnings=("slow",))) for run in runs]
    notes = [note for note in pass_table(records).notes if note.endswith(": slow")]
    assert notes == ["googlenet, batch 1; googlenet, batch 2; googlenet, batch 4 and 1 more: slow"]


def test_rates_that_mean_nothing_are_left_out_with_the_reason(record):
    blank = record.replace(measurement=record.measurement.replace(rate_reason="no FLOP/s: why"))
    shown, hidden = pass_table([record]), pass_table([blank])
    assert str(shown.rows[0][-1]) != "-"
    assert str(hidden.rows[0][-1]) == "-"
    assert any(note.endswith("no FLOP/s: why") for note in hidden.notes)
