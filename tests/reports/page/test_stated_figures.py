"""Figures of sweeps, of times and of language models that text, tables and charts all state are equal."""

from __future__ import annotations

import re

import pytest

from analyzer.core.units import seconds
from analyzer.language_models.time_bounds import Device, Parallel, decode_bound
from reports.language_models import Setting
from reports.page.build import page
from reports.page.context import Chart, flat
from reports.page.sections import language_model
from reports.page.sweep_page import sweep_page
from reports.table import Table, as_cell, cell_text
from tests.language_models.test_formulas import served
from tests.reports.page.test_consistency import on_gpu
from tests.reports.page.test_language_model import trained
from tests.sweeps.results import analyze_results, measured_grid, result
from tests.timed_records import timed

SWEEPS = {
    "two machines": measured_grid,
    "one batch that fails": lambda: [*measured_grid()[:12], result("new", failed="killed", batch=8)],
    "training": lambda: [result("net", 0.1 * batch, batch=batch, spread=0.01, mode="training") for batch in (1, 2, 4)],
}


@pytest.fixture(params=SWEEPS, scope="module")
def sweep(request):
    """The analysis, its page's text and its blocks by id."""
    analysis = analyze_results(SWEEPS[request.param]())
    sections = sweep_page(analysis, "history").sections
    blocks = [block for section in sections for block in flat(section.blocks)]
    return analysis, " ".join(sections[0].blocks[0].texts), {getattr(block, "id", ""): block for block in blocks}


def column(table: Table, title: str) -> int:
    return [known.title for known in table.columns].index(title)


def test_the_summary_of_a_sweep_counts_its_tables_rows(sweep):
    analysis, text, by_id = sweep
    rows = by_id["sweep-results-table"].rows
    assert int(re.match(r"([\d,]+) configurations?", text)[1].replace(",", "")) == len(rows) == len(analysis.points)
    failed = sum(as_cell(row[column(by_id["sweep-results-table"], "quality")]).text == "failed" for row in rows)
    void = sum(as_cell(row[column(by_id["sweep-results-table"], "quality")]).text == "void" for row in rows)
    assert failed == sum(point.failed for point in analysis.points)
    for number, word in ((failed, "failed"), (void, "of them void")):
        assert (f"{number} {word}" in text) == bool(number)
    if failed:
        counts = [as_cell(row[1]).value for row in by_id["sweep-failures-table"].rows]
        assert sum(counts) == failed


def test_each_conclusion_has_the_speed_and_the_interval_of_table_and_chart(sweep):
    _, text, by_id = sweep
    if "sweep-best" not in by_id:
        return
    table, chart = by_id["sweep-best-table"], by_id["sweep-best"]
    speed, interval = column(table, "speed"), column(table, "95 % interval")
    stated = {(cell_text(row[speed]), cell_text(row[interval])) for row in table.rows}
    assert {(cell_text(row[1]), cell_text(row[2])) for row in chart.table.rows} <= stated
    sentences = re.findall(r"([\d.]+×) \[([\d.]+× to [\d.]+×)\] as fast", text)
    assert len(sentences) == text.count("as fast as the default")
    assert {*sentences} <= stated
    marks = [trace for trace in chart.figure["data"] if "markers" in trace["mode"]]  # Without the line at 1.
    drawn = [value for trace in marks for value in trace["x"]]
    assert sorted(drawn) == sorted(as_cell(row[1]).value for row in chart.table.rows)


def test_curves_and_maps_have_the_numbers_of_their_tables(sweep):
    _, _, by_id = sweep
    charts = [block for block in by_id.values() if isinstance(block, Chart)]
    for chart in charts:
        if chart.id in ("sweep-batch", "sweep-threads"):
            rates = {as_cell(row[column(chart.table, "samples/s")]).value for row in chart.table.rows}
            assert {value for trace in chart.figure["data"] for value in trace["y"]} <= rates
            (most,) = re.findall(r"Most samples per second: .*?: ([\d.,]+) \[", chart.summary)
            best = max(chart.table.rows, key=lambda row: as_cell(row[column(chart.table, "samples/s")]).value)
            assert most == cell_text(best[column(chart.table, "samples/s")])
        if chart.id.startswith("sweep-grid"):
            stated = [[cell_text(cell) for cell in row[1:]] for row in chart.table.rows]
            drawn = [[text or "-" for text in row] for row in chart.figure["data"][0]["text"]]
            assert drawn == stated
            ends = re.findall(r"(?:from|to) ([\d.,]+(?: \w+)?) at", chart.summary)
            assert {*ends} <= {text for row in stated for text in row}


@pytest.mark.parametrize("make", [lambda: timed("nin"), on_gpu, lambda: timed("nin", quality="noisy", reason="busy")])
def test_bars_of_times_add_up_to_the_pass_of_the_sentence(make):
    record = make()
    by_id = {chart.id: chart for chart in page([record]).charts}
    modules = next(chart for name, chart in by_id.items() if name.startswith("modules"))
    bars = dict(zip(modules.figure["data"][0]["y"], modules.figure["data"][0]["x"], strict=True))
    whole = sum(bars.values())
    assert whole == pytest.approx(sum(record.measurement.operator_times_s.values()))
    longest, time, share = re.match(r"(\S+) takes longest: ([\d.]+ \w+), ([\d.]+ %)", modules.summary).groups()
    assert longest == max(bars, key=bars.__getitem__)
    assert time == seconds(bars[longest])
    assert float(share.split()[0]) == pytest.approx(100 * bars[longest] / whole, abs=0.05)
    stated = {cell_text(row[0]): cell_text(row[1]) for row in modules.table.rows}
    assert all(stated[name] == seconds(value) for name, value in bars.items())


def test_curves_of_a_language_model_have_the_numbers_of_their_tables():
    lengths = (512, 1024, 2048)
    model = trained(2048, 4).replace(curve=tuple(served(length, 4) for length in lengths))
    setting = Setting(Device("H100", 989.5e12, 3.35e12, 80 * 10**9), Parallel(2))
    charts = {chart.id: chart for chart in language_model.page(model, setting).charts}
    assert len(charts) == 3
    for chart in charts.values():
        numbers = {as_cell(cell).value for row in chart.table.rows for cell in row[1:]}
        drawn = [value for trace in chart.figure["data"] for value in trace["y"]]
        assert len(drawn) >= len(lengths)
        for value in drawn:
            assert any(number is not None and number == pytest.approx(value) for number in numbers), (chart.id, value)
    assert seconds(decode_bound(model.curve[-1], setting.device, setting.parallel).seconds) in {
        cell_text(cell) for row in charts[next(reversed(charts))].table.rows for cell in row
    }
