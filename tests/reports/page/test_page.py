"""The page without a browser: the content of its sections, what it must not compare, and its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest

from analyzer.core.frozen import Frozen
from analyzer.core.units import seconds
from analyzer.counting.api import count, count_variant
from analyzer.networks.variants import variant
from analyzer.records.comparable import incompatibility
from analyzer.records.record import Record
from analyzer.records.record_json import dump, pretty
from analyzer.records.rows import Count, Row
from reports.page.build import page
from reports.page.context import Chart, Choice, flat
from reports.page.network_views import network_views
from reports.page.write import html
from reports.table import Table, as_cell, cell_text
from tests.timed_records import MACHINE, timed


def counted(*names: str) -> list[Record]:
    return [count_variant(variant(name), memory=True) for name in names]


def section(page, name):
    return next(section for section in page.sections if section.id == name)


def block(page, section_id, block_id):
    return next(block for block in section(page, section_id).blocks if getattr(block, "id", "") == block_id)


def plain(value):
    """The context as plain data, without fields that have their default.

    Numbers have 10 digits: Python 3.12 sums more exactly than 3.11, and scipy 1.17 has more exact quantiles than 1.13.
    """
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, Frozen):
        fields = ((name, getattr(value, name)) for name in value.fields)
        return {name: plain(item) for name, item in fields if item != getattr(type(value), name, ...)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def text(value) -> str:
    return json.dumps(plain(value), ensure_ascii=False)


def rows(table: Table) -> list[list[str]]:
    return [list(map(cell_text, row)) for row in table.rows]


# Content.


@pytest.mark.parametrize(
    ("name", "records", "sections"),
    [
        ("alexnets", lambda: counted("alexnet", "alexnet-torchvision"), None),
        ("googlenet", lambda: counted("googlenet"), ("summary", "reduction", "head", "claims")),
        ("timed", lambda: [timed("nin"), timed("nin", batch=4)], ("summary", "time", "about")),
    ],
)
def test_golden(golden, name, records, sections):
    built = page(records(), command="analyze report")
    chosen = [section for section in built.sections if sections is None or section.id in sections]
    golden(f"page/{name}.json", pretty(plain({**vars(built), "sections": chosen}), depth=7) + "\n")


@pytest.mark.parametrize(
    ("other", "phrases"),
    [
        ("nin", ["7.9 % fewer parameters than nin, but 43.9 % more multiply-adds and 15.1 % more peak memory"]),
        ("alexnet", ["8.71× fewer parameters and 6.52× less peak memory than alexnet, but 2.18× more multiply-adds"]),
    ],
)
def test_the_first_network_is_compared_with_each_other(other, phrases):
    """1 - 6,998,552 / 7,595,176 = 7.9 %; 60,965,224 / 6,998,552 = 8.71."""
    summary = text(section(page(counted("googlenet", other)), "summary"))
    assert all(phrase in summary for phrase in phrases)


def test_equal_networks_have_the_same_counts():
    (nin,) = counted("nin")
    summary = text(section(page([nin, nin.replace(model="copy")]), "summary"))
    assert "the same number of parameters, the same number of multiply-adds and the same peak memory as copy" in summary


def test_the_table_of_networks_has_the_change_relative_to_the_first_network():
    table = block(page(counted("nin", "googlenet")), "summary", "networks")
    first, second = (list(map(as_cell, row)) for row in table.rows)
    assert [column.title for column in table.columns] == ["network", "MACs", "params", "activations", "peak memory"]
    assert [cell.note for cell in first[1:3]] == ["1,100,188,800", "7,595,176"]
    assert [(cell.note, cell.tone) for cell in second[1:3]] == [("+43.9 %", "bad"), ("-7.9 %", "good")]
    assert [cell.share for cell in (first[1], second[1])] == [pytest.approx(0.6951, abs=1e-4), 1]


def test_many_networks_are_ranked_in_one_sentence():
    names = ("googlenet", "nin", "alexnet", "vgg16", "googlenet-naive")
    lead = section(page(counted(*names)), "summary").blocks[0].texts
    assert len(lead) == 2
    assert "googlenet has the fewest parameters, 6.999 M, and vgg16 the most, 138.4 M. alexnet has" in lead[1]
    assert "googlenet is 3rd" in lead[1]


def test_sections_without_content_are_left_out():
    names = [part.id for part in page(counted("alexnet")).sections]
    assert names == ["summary", "compute", "head", "what-if", "memory", "network", "table", "about"]


def test_notes_of_all_networks_are_one_note():
    first, second = (record.replace(notes=("seeded.",)) for record in counted("nin", "alexnet"))
    assert "All networks: seeded." in text(section(page([first, second]), "summary"))


def test_the_5x5_branch_of_4a_is_calculated_in_full():
    (calculation,) = [
        part for part in section(page(counted("googlenet")), "reduction").blocks if hasattr(part, "steps")
    ]
    assert calculation.steps[0][1:] == ("(14 · 14 · 48) · (5 · 5 · 480)", "112,896,000")
    assert [result for *_, result in calculation.steps[1:]] == ["1,505,280", "3,763,200", "5,268,480"]
    assert calculation.result.startswith("21.4× fewer multiply-adds")


def test_the_curve_is_counted_width_by_width():
    chart = next(chart for chart in page(counted("googlenet")).charts if chart.id == "widths")
    exact = {as_cell(row[0]).value: as_cell(row[1]).value for row in chart.table.rows}
    assert exact == {width: 14 * 14 * width * 480 + 14 * 14 * 48 * 25 * width for width in exact}
    assert 16 in exact


@pytest.mark.parametrize("names", [("googlenet", "alexnet"), ("nin",)])
def test_every_chart_has_a_sentence_and_its_numbers_in_a_table(names):
    charts = page(counted(*names)).charts
    assert charts
    for chart in charts:
        assert chart.summary.endswith(".")
        assert chart.table.rows
        assert chart.table.id == f"{chart.id}-data"
        assert chart.marks > 0


def test_the_modules_table_is_that_of_the_terminal_with_times():
    chart = next(chart for chart in page([timed("nin")]).charts if chart.id == "tiles-0")
    assert [column.title for column in chart.table.columns][-3:] == ["FLOP/B", "time", "share of time"]
    *modules, total = chart.table.rows
    assert sum(as_cell(row[-2]).value for row in modules if as_cell(row[0]).depth == 0) <= as_cell(total[-2]).value
    assert as_cell(total[-1]).text == "100 %"


def test_without_times_the_page_names_the_command_that_adds_them():
    assert "analyze time" in text(section(page(counted("nin")), "about"))


def test_training_has_the_auxiliary_classifiers_and_the_backward_pass():
    built = page([count("googlenet", train=True)])
    assert "aux1" in text(section(built, "compute"))
    summary = text(section(built, "summary"))
    # The step: 1,591,044,096 MACs forward and 3,064,074,240 backward; 3,212,221,976 + 2 x 3,064,074,240 FLOPs.
    for figure in ("3,064,074,240", "6,128,148,480", "4,655,118,336", "9,340,370,456"):
        assert figure in summary
    full = text(section(built, "table"))
    for figure in ("3,064,074,240", "4,655,118,336", "9,340,370,456"):
        assert figure in full


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("nin", "alexnet", "vgg16"), ["nin → alexnet", "nin → vgg16", "alexnet → vgg16"]),
        (("nin", "alexnet", "vgg16", "googlenet", "googlenet-naive"), 4),
    ],
)
def test_any_two_networks_have_a_difference_and_of_many_only_pairs_with_the_first(names, options):
    (choice,) = section(page(counted(*names)), "difference").blocks
    assert isinstance(choice, Choice)
    found = [name for name, _ in choice.options]
    assert len(found) == options if isinstance(options, int) else found == options


def test_a_difference_lists_what_was_removed_and_marks_what_is_the_same():
    (choice,) = section(page(counted("googlenet", "googlenet-no-reduction")), "difference").blocks
    assert "Removed (only in googlenet): inception_3a.branch_3x3.reduce, " in text(choice)
    chart = next(block for block in flat([choice]) if isinstance(block, Chart))
    tones = {cell_text(row[0]): as_cell(row[0]).tone for row in chart.table.rows}
    assert tones["conv1"] == "same"
    assert tones["inception_4a.branch_5x5"] == ""
    branch = next(row for row in rows(chart.table) if row[0] == "inception_4a.branch_5x5")
    assert branch[1:5] == ["5.268 M", "112.9 M", "+107.6 M", "21.4× more"]


def test_ids_are_unique_and_module_paths_are_link_targets():
    built = page(counted("googlenet", "googlenet-no-reduction", "alexnet"))
    ids = re.findall(r'\sid="([^"]+)"', html(built, "none"))
    assert len(ids) == len(set(ids))
    assert {"inception_4a.branch_5x5", "alexnet/conv1", "table", "conv1"} <= set(ids)


def test_a_chart_without_marks_is_a_sentence_and_a_table():
    relu = Row("act", "act", "relu", 1, ((1, 8),), ((1, 8),), 0, 0, 0, 0, 8, 0, 32, 32)
    free = Record("free", ((1, 8),), "inference", Count("dispatch", (relu,)))
    built = page([free, free.replace(model="free too")])
    assert built.charts == ()
    assert "free has no MACs" in text(section(built, "compute"))
    assert "the same multiply-adds and parameters" in text(section(built, "difference"))
    assert html(built)


def test_an_empty_record_is_named_empty():
    empty = count("nin").replace(model="hollow", count=Count("dispatch", ()))
    built = page([empty, count("nin")])
    assert "hollow has no rows" in text(section(built, "summary"))
    assert "hollow has no rows" in text(section(built, "difference"))
    assert html(built, "none")
    assert html(page([empty]), "none")


def test_no_table_is_without_rows_title_or_id():
    built = page(counted("googlenet", "alexnet"))
    tables = [block for part in built.sections for block in flat(part.blocks) if isinstance(block, Table)]
    assert all(table.rows and table.title and table.id for table in tables)
    assert len({table.id for table in tables}) == len(tables)


def test_only_built_in_networks_have_numbers_to_change():
    def data(*records):
        return next((section.blocks[0].data for section in page(records).sections if section.id == "what-if"), None)

    assert data(count("nin").replace(model="Net")) is None
    assert [*data(count("nin"))["networks"]] == ["nin"]
    changed = data(count("googlenet", overrides={"inception_4a.reduce_5x5": 32}, input=(3, 256, 256), batch=2))
    assert [*changed["networks"]] == ["googlenet", "googlenet-no-reduction", "googlenet-naive"]
    assert changed["start"] == {
        "network": "googlenet", "settings": {"inception_4a.reduce_5x5": 32}, "input": [3, 256, 256], "batch": 2,
        "training": False,
    }  # fmt: skip
    of_another_version = count("nin").replace(overrides={"conv9.out": 1})
    assert data(of_another_version)["start"]["settings"] == {}


# Networks of the page.


def test_records_of_one_name_get_different_names():
    records = [count("nin"), count("nin", batch=2), count("nin", input=(3, 128, 128)), count("nin", train=True)]
    assert len({network.name for network in network_views(records)}) == 4


def test_runs_of_one_network_are_one_network():
    networks = network_views([timed(), timed(batch=4), timed(threads=1)])
    assert [network.name for network in networks] == ["nin"]
    assert len(networks[0].timed) == 3


def test_names_leave_out_the_batch_if_runs_have_several():
    networks = network_views([timed(), timed(batch=4), timed(batch=64).replace(dtype="bfloat16")])
    assert [network.name for network in networks] == ["nin (float32)", "nin (bfloat16)"]


# Times.


def test_every_chart_of_times_has_a_quality():
    built = page([timed("nin", quality="noisy", reason="a neighbor")])
    charts = [chart for chart in built.charts if chart.quality]
    assert {chart.id.partition("-")[0] for chart in charts} == {
        "kinds", "modules", "operators", "roofline", "kernels",
    }  # fmt: skip
    assert {(chart.quality, chart.reason) for chart in charts} == {("noisy", "a neighbor")}
    assert "a neighbor" in text(block(built, "time", "run-notes"))


def test_gpu_time_has_a_column_and_operators_have_its_quality():
    def passes(record):
        return block(page([record]), "time", "passes")

    noisy = timed("nin", quality="noisy", reason="launch-bound")
    whole, timings = noisy.measurement.pass_timing, noisy.measurement.timings
    half = tuple(sample / 2 for sample in whole.samples_s)
    device = whole.replace(kind="device", samples_s=half, quality="trusted", reason="")
    record = noisy.replace(measurement=noisy.measurement.replace(timings=(*timings, device)))
    assert len(passes(record).columns) == len(passes(noisy).columns) + 1
    (row,) = rows(passes(record))
    assert {"noisy", seconds(device.median_s)} <= set(row)
    assert {chart.quality for chart in page([record]).charts if chart.quality} == {"trusted"}
    void = device.replace(quality="void", reason="late")
    record = noisy.replace(measurement=noisy.measurement.replace(timings=(*timings, void)))
    assert f"{seconds(device.median_s)} (void)" in rows(passes(record))[0]


def test_the_roofline_has_ceilings_only_where_they_were_measured():
    def roofline(record):
        return next(chart for chart in page([record]).charts if chart.id.startswith("roofline"))

    with_peaks, without = roofline(timed()), roofline(timed(environment={**MACHINE, "peaks": []}))
    names = [trace.get("name", "") for trace in with_peaks.figure["data"]]
    assert any(name.startswith("peak 200 GFLOP/s") for name in names)
    assert "analyze machine" in without.summary


def test_modules_and_overhead_add_up_to_the_pass():
    record = timed()
    chart = next(chart for chart in page([record]).charts if chart.id == "modules-0")
    times_s = record.measurement.operator_times_s
    assert sum(chart.figure["data"][0]["x"]) == pytest.approx(sum(times_s.values()))


# Comparability.


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (timed(threads=1), "threads"),
        (timed(environment={**MACHINE, "processor": {**MACHINE["processor"], "model": "Another"}}), "processor"),
        (timed(environment={}), "unknown"),
        (timed("alexnet", batch=2), "batch 1 against 2"),
        (timed("alexnet").replace(dtype="float16"), "dtype float32 against float16"),
    ],
)
def test_incomparable_records_are_never_compared(other, reason):
    first = timed()
    assert reason in (incompatibility(first, other) or "")
    built = page([first, other])
    assert " than " not in text(section(built, "summary"))
    assert reason in text(built.sections)
    assert not [chart.id for chart in built.charts if chart.id.startswith("difference")]


def test_comparable_times_are_compared():
    built = page([timed("nin"), timed("nin", slower=2).replace(model="slow")])
    # Overhead is the same in both. Two processes give wide intervals, and this difference is outside of them.
    assert re.search(r"4\d(\.\d)? % less time \(2\.\d+× less to -\d\d(\.\d)? %\)", text(section(built, "summary")))


def test_a_difference_in_time_within_its_interval_is_undecided():
    summary = text(section(page([timed("nin"), timed("nin", slower=1.05).replace(model="slow")]), "summary"))
    assert "an undecided difference in time" in summary
    assert "less time" not in summary


def test_void_runs_have_no_charts_and_no_throughput_line():
    void = timed("nin", batch=4, quality="void", reason="busy")
    built = page([timed("nin"), void])
    (speed,) = [chart for chart in built.charts if chart.id == "speed"]
    assert speed.marks == 1
    assert len(speed.table.rows) == 2
    assert "batch 4" not in speed.summary
    assert not [chart.id for chart in page([void]).charts if chart.id.startswith(("kinds", "modules", "roofline"))]
    assert "Time" not in [name for chart in page([void]).charts for name, _ in chart.views]
    many = page([timed("nin"), timed("nin", batch=4), timed("nin", batch=8)])
    (choice,) = [part for part in section(many, "time").blocks if isinstance(part, Choice)]
    assert [name for name, _ in choice.options] == [f"nin, batch {batch}, 2 threads" for batch in (1, 4, 8)]


def test_void_times_are_shown_and_not_compared():
    summary = text(section(page([timed("nin"), timed("alexnet", quality="void", reason="busy")]), "summary"))
    assert "void" in summary
    assert " time than" not in summary


# Names from outside.

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "line\nbreak",
    "right\u202eto left",
    "=cmd()|' /C calc'!A0",
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "spaces in it",
    "content",
    "summary-title",
    "table",
)


def hostile() -> Record:
    rows = tuple(
        Row(f"{name}.conv", name, name, 1, ((1, 3, 4, 4),), ((1, 8, 4, 4),), 216, 216, 0, 3456, 6912, 128, 1056, 512)
        for name in HOSTILE
    )
    return Record(HOSTILE[0], ((1, 3, 4, 4),), "inference", Count(HOSTILE[1], rows), notes=HOSTILE)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_hostile_names_are_text():
    written = html(page([hostile(), *counted("nin")], [HOSTILE[0]], HOSTILE[0]))
    parsed = Tags()
    parsed.feed(written)
    assert "img" not in parsed.tags
    assert parsed.tags.count("script") == 7
    assert not [name for name in parsed.attributes if name.startswith("on")]
    assert "\u202e" not in written
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", written)[0]
    ids = re.findall(r'\sid="([^"]+)"', written)
    assert len(ids) == len(set(ids))


# The file.


def test_the_policy_allows_this_script_and_nothing_from_outside():
    written = html(page(counted("nin")))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', written)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1] or "default-src 'none'" in policy[1]
    assert "unsafe-eval" not in policy[1]
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', written)


def test_linked_charts_name_plotly_and_its_hash():
    written = html(page(counted("nin")), "link")
    assert '"integrity": "sha256-' in written
    assert len(written) < 200_000


def test_a_stored_record_makes_the_same_page(tmp_path, analyze, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(dump([timed(), timed("alexnet")]))
    assert analyze("report", "run.json").status == 0
    first = (tmp_path / "analysis.html").read_bytes()
    assert analyze("report", "run.json").status == 0
    assert (tmp_path / "analysis.html").read_bytes() == first
