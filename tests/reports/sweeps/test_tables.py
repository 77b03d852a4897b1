"""The tables, sentences, JSON and CSV of a sweep's analysis."""

from __future__ import annotations

import csv
import io
import json

import pytest

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.sweeps.analysis.accuracy import Accuracy
from reports.sweeps.analysis_json_and_csv import SHEET, dump, sheet
from reports.sweeps.markdown import summary
from reports.sweeps.names_and_phrases import conclusion, names_of, overview
from reports.sweeps.results import results_table
from reports.sweeps.tables import tables
from reports.table import cell_text
from tests.sweeps.results import LARGE, analyze_results, measured_grid, result


@pytest.fixture(scope="module")
def measured():
    return analyze_results(measured_grid(), accuracy=Accuracy("top-1", {"googlenet": 69.8, "alexnet": 56.5}))


def texts(table):
    return [[cell_text(cell) for cell in row] for row in table.rows]


def column(table, title):
    index = [column.title for column in table.columns].index(title)
    return [row[index] for row in texts(table)]


def test_the_conclusion_has_the_gain_with_its_interval_and_what_was_changed():
    """The default on 4 processors takes 2 s, and 1 s with two changes: twice as fast."""
    results = [result("net", 2.0, threads=4), result("net", 1.0, threads=4, dtype="bfloat16", layout="channels_last")]
    analysis = analyze_results(results)
    (best,) = analysis.best
    text = conclusion(best, names_of(analysis))
    assert text == "net, batch 1: bfloat16, channels_last: 2.00× [2.00× to 2.00×] as fast as the default."


def test_the_overview_counts_what_was_timed_void_and_failed(measured):
    text = overview(measured)
    assert text == "72 configurations of 3 models: 70 timed on 2 machines, 2 of them void, 2 failed."


def test_undecided_gains_and_missing_defaults_are_no_conclusion():
    undecided = [result("net", 1.0, spread=0.2), result("net", 0.9, layout="channels_last", spread=0.2)]
    no_default = [result("other", 1.0, dtype="bfloat16"), result("other", 2.0, dtype="float16")]
    table = tables(analyze_results(undecided + no_default))[0]
    assert column(table, "speed") == ["undecided", "no default"]


def test_every_part_has_a_table_and_those_without_content_are_left_out(measured):
    titles = [table.title.partition(":")[0].partition(",")[0] for table in tables(measured)]
    assert list(dict.fromkeys(titles)) == [
        "Best configuration", "Pareto front", "Scaling over batch", "Scaling over threads",
        "Large CPU against Small CPU", "samples/s by model and batch", "MACs by model and batch", "Failures by reason",
    ]  # fmt: skip
    assert [table.title for table in tables(analyze_results([result()]))] == ["Results"]


def test_a_grid_of_counts_has_no_times():
    """One axis, no times: a front needs two models, so that the grid is all there is."""
    (table,) = tables(analyze_results([result("net", batch=batch) for batch in (1, 2, 4)]))
    assert (table.title, texts(table)) == ("MACs by batch", [["MACs", "1.000 k", "2.000 k", "4.000 k"]])


def test_void_times_are_greyed_in_the_results_and_in_no_other_table():
    results = [result("a", 1.0, quality="void"), result("b", 2.0), result("b", 3.0, batch=2, quality="void")]
    rate, *_ = [table for table in tables(analyze_results(results)) if table.title.startswith("samples/s")]
    assert texts(rate) == [["a", "void", "-"], ["b", "0.5", "void"]]


def test_machines_show_the_change_or_that_it_is_undecided():
    results = [
        result("a", 2.0), result("a", 1.0, environment=LARGE),
        result("b", 1.0, spread=0.1), result("b", 1.05, spread=0.1, environment=LARGE),
    ]  # fmt: skip
    table = next(table for table in tables(analyze_results(results)) if "against Small" in table.title)
    assert column(table, "change") == ["2.00× less", "undecided"]


def test_json_has_exact_numbers_and_csv_the_same(measured):
    data = json.loads(dump(measured))
    assert len(data["results"]) == 72
    best = [best for best in data["best"] if best["outcome"] == "faster"]
    assert all(best["low"] > 1 for best in best)
    lines = list(csv.DictReader(io.StringIO(sheet(measured))))
    assert list(lines[0]) == list(SHEET)
    macs = {line["model"]: int(line["value"]) for line in lines if line["quantity"] == "macs" and line["batch"] == "1"}
    assert macs == {"googlenet": 1_582_671_872, "alexnet": 724_406_816, "nin": 1_100_299_520}
    speeds = [float(line["value"]) for line in lines if line["section"] == "best" and line["value"]]
    assert speeds == [best["speed"] for best in data["best"] if best["speed"] is not None]


def test_gpu_time_stands_beside_the_time():
    timed = result("net", 2.0, device="cuda")
    record = timed.record
    gpu = record.measurement.pass_timing.replace(kind="device", samples_s=(0.5,) * 9)
    measurement = record.measurement.replace(timings=(*record.measurement.timings, gpu))
    analysis = analyze_results([timed.replace(record=record.replace(measurement=measurement)), result("net")])
    table = results_table(analysis, names_of(analysis))
    assert column(table, "GPU time") == ["-", "500.0 ms"]
    assert "gpu_time_s,0.5,0.5,0.5" in sheet(analysis)


def test_macs_of_training_are_those_of_a_step():
    record = count_variant(variant("nin"), train=True)
    case = result("nin", mode="training")
    analysis = analyze_results([case.replace(record=record), case.replace(case=case.case.replace(model="net"))])
    first, *_ = json.loads(dump(analysis))["results"]
    assert (first["step_macs"], "macs" in first) == (record.totals.step["step_macs"], False)
    assert any("step" in note for note in tables(analysis)[0].notes)


def test_unbounded_intervals_are_null_in_json():
    one_sample = result("net", 1.0)
    timing = one_sample.record.measurement.pass_timing.replace(samples_s=(1.0,), processes=(1,))
    measurement = one_sample.record.measurement.replace(timings=(timing,))
    results = [one_sample.replace(record=one_sample.record.replace(measurement=measurement)), result("net", 2, batch=2)]
    first = json.loads(dump(analyze_results(results)))["results"][0]
    assert (first["median_s"], first["high_s"]) == (1.0, None)
    assert tables(analyze_results(results))


def test_tables_as_text_have_the_first_rows_and_heat_maps_fewer_values():
    """Of 50 x 50 models, 8 columns and 24 rows at even distances, among them the first and the last."""
    results = [
        result("net", params=a + b, macs=a * b, overrides={"a": a, "b": b}) for a in range(50) for b in range(50)
    ]
    front, *heat_maps = tables(analyze_results(results))
    assert len(front.rows) == 40
    assert "more rows" in front.notes[0]
    titles = [column.title for column in heat_maps[0].columns[1:]]
    assert (len(titles), titles[0], titles[-1]) == (8, "0", "49")
    assert [len(heat_map.rows) for heat_map in heat_maps] == [24, 24]


def test_markdown_has_the_conclusions(measured):
    text = summary(measured)
    assert "- googlenet, batch 1, on Small CPU: bfloat16, channels\\_last" in text
    assert text.count("**Pareto front") == len(measured.fronts)
