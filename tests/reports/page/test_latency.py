"""Percentiles, first calls and latency under load on the page; void runs are grayed and in no chart."""

from __future__ import annotations

import pytest

from analyzer.records.timings import Timing
from reports.page.build import page
from reports.page.context import Chart, flat
from reports.table import MISSING, Table, as_cell, cell_text
from tests.timed_records import timed


def served(name, *, quality="trusted", loads=("5/s", "10/s", "500/s")):
    """Passes of 1 to 200 ms (mean 100 ms), a first call of 0.5 s, compilation of 2 s, and 100 requests per load."""
    record = timed(name, quality=quality, reason="" if quality == "trusted" else "busy")
    samples = tuple(number / 1000 for number in range(1, 201))
    timings = [
        timing.replace(samples_s=samples, processes=(200,)) if timing.kind == "pass" else timing
        for timing in record.measurement.timings
    ]
    timings += [
        Timing("", "first_call", 1, "first_call", "forward", (0.4, 0.6), quality, "", (1, 1)),
        Timing("", "compile", 1, "compile", "forward", (2.0,), quality, "", (1,)),
        *(Timing("", load, 1, "latency", "pass", (0.2,) * 98 + (0.5, 0.9), quality) for load in loads),
    ]
    measurement = record.measurement.replace(timings=tuple(timings), peak_memory_bytes=300_000_000)
    return record.replace(measurement=measurement)


@pytest.fixture(scope="module")
def blocks():
    records = [served("nin"), served("alexnet", quality="void")]
    return [block for section in page(records).sections for block in flat(section.blocks)]


def row_of(table: Table, row) -> dict[str, str]:
    return {column.title: cell_text(cell) for column, cell in zip(table.columns, row, strict=True)}


def test_percentiles_and_first_calls_are_in_a_table(blocks):
    (table,) = [block for block in blocks if getattr(block, "id", "") == "latency"]
    first, second = table.rows
    expected = {"p50": "100.0 ms", "p90": "180.0 ms", "p99": "198.0 ms", "max": "200.0 ms", "first call": "500.0 ms",
                "compile": "2.000 s", "peak memory": "300.0 MB"}  # fmt: skip
    assert {key: text for key, text in row_of(table, first).items() if key in expected} == expected
    assert as_cell(first[2]).value == pytest.approx(0.1)
    assert as_cell(second[0]).tone == "void"


def test_a_chart_has_the_loads_of_the_table_without_overloads_and_void_runs(blocks):
    (chart,) = [block for block in blocks if isinstance(block, Chart) and block.id == "load"]
    assert [cell_text(row[2]) for row in chart.table.rows] == ["5/s", "10/s", "500/s"] * 2
    drawn = {trace["name"]: (trace["x"], trace["y"]) for trace in chart.figure["data"]}
    assert list(drawn) == ["p50", "p90", "p99"]
    for name, place in (("p50", 4), ("p90", 5), ("p99", 6)):
        stated = [as_cell(row[place]).value for row in chart.table.rows[:3]]
        assert drawn[name] == ([5.0], pytest.approx([1e3 * stated[0]]))
        assert stated[1:] == [None, None]  # 10/s of 0.1 s each is an overload.
        assert cell_text(chart.table.rows[2][place]) == MISSING
    assert "no percentiles" in " ".join(chart.table.notes)
    assert chart.summary == "nin, batch 1, 2 threads: p99 is 500.0 ms at 5/s."


def test_records_without_these_figures_have_no_such_table():
    ids = [getattr(block, "id", "") for section in page([timed("nin")]).sections for block in flat(section.blocks)]
    assert "load" not in ids
