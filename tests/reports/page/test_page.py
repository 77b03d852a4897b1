"""The page before any browser: what its context says, what it leaves out, and that its bytes are what they must be."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from analyzer.core.units import seconds
from analyzer.counting.api import count, count_variant
from analyzer.networks.variants import variant
from analyzer.records.comparable import why_not
from analyzer.records.envelope import dump, pretty
from analyzer.records.record import Count, Record, Row
from reports.page.build import page
from reports.page.context import Chart, Choice, Table, flat, to_json
from reports.page.subjects import subjects
from reports.page.write import html
from tests.timed_records import MACHINE, timed


def counted(*names: str) -> list[Record]:
    return [count_variant(variant(name), memory=True) for name in names]


def section(built, name):
    return next(one for one in built.sections if one.id == name)


def text(value) -> str:
    return json.dumps(to_json(value), ensure_ascii=False)


# What it says.


@pytest.mark.parametrize(
    ("name", "records", "kept"),
    [
        ("alexnets", lambda: counted("alexnet", "alexnet-torchvision"), None),
        ("googlenet", lambda: counted("googlenet"), ("verdict", "reduction", "head", "claims")),
        ("timed", lambda: [timed("nin"), timed("nin", batch=4)], ("verdict", "time", "about")),
    ],
)
def test_the_context_is_the_golden_one(golden, name, records, kept):
    built = page(records(), command="analyze report")
    chosen = [one for one in built.sections if kept is None or one.id in kept]
    golden(f"page/{name}.json", pretty(to_json({**vars(built), "sections": chosen}), depth=7) + "\n")


def test_a_sentence_a_network():
    said = text(section(page(counted("googlenet", "googlenet-no-reduction", "alexnet")), "verdict"))
    assert "googlenet has 8.7 times fewer parameters than alexnet, 2.2 times more multiply-adds" in said
    assert "googlenet has 3.6 times fewer parameters than googlenet-no-reduction, 2.8 times fewer multiply-adds" in said


def test_the_5x5_branch_of_4a_is_multiplied_out():
    (worked,) = [one for one in section(page(counted("googlenet")), "reduction").blocks if one.kind == "sum"]
    assert worked.steps[0][1:] == ("(14 · 14 · 48) · (5 · 5 · 480)", "112,896,000")
    assert [result for *_, result in worked.steps[1:]] == ["1,505,280", "3,763,200", "5,268,480"]
    assert "21.4 times fewer" in worked.result


def test_the_curve_is_counted_width_by_width():
    chart = next(one for one in page(counted("googlenet")).charts if one.id == "widths")
    exact = {line.cells[0].value: line.cells[1].value for line in chart.table.lines}
    assert exact == {width: 14 * 14 * width * 480 + 14 * 14 * 48 * 25 * width for width in exact}
    assert 16 in exact


@pytest.mark.parametrize("names", [("googlenet", "alexnet"), ("nin",)])
def test_every_chart_has_a_sentence_and_its_figures_in_a_table(names):
    built = page(counted(*names))
    assert built.charts
    for chart in built.charts:
        assert chart.summary.endswith(".")
        assert chart.table.lines
        assert chart.marks > 0


def test_without_times_the_page_says_how_to_add_them():
    assert "analyze time" in text(section(page(counted("nin")), "time"))


def test_training_has_the_heads_and_the_backward_pass():
    built = page([count("googlenet", train=True)])
    assert "aux1" in text(section(built, "compute"))
    assert "backward" in text(section(built, "verdict"))


def test_a_difference_of_any_two():
    (choice,) = section(page(counted("nin", "alexnet", "vgg16")), "difference").blocks
    assert isinstance(choice, Choice)
    assert [name for name, _ in choice.options] == ["nin → alexnet", "nin → vgg16", "alexnet → vgg16"]


def test_what_is_only_on_one_side_is_listed():
    (choice,) = section(page(counted("googlenet", "googlenet-no-reduction")), "difference").blocks
    said = text(choice)
    assert "Removed (only in googlenet): inception_3a.branch_3x3.reduce, " in said
    chart = next(block for block in flat([choice]) if isinstance(block, Chart))
    kinds = {line.cells[0].text: line.kind for line in chart.table.lines}
    assert kinds["conv1"] == "same"
    assert kinds["inception_4a.branch_5x5"] == ""


def test_places_are_unique_and_module_paths_lead_to_them():
    built = page(counted("googlenet", "googlenet-no-reduction", "alexnet"))
    found = re.findall(r'\sid="([^"]+)"', html(built, "none"))
    assert len(found) == len(set(found))
    assert {"inception_4a.branch_5x5", "alexnet/conv1", "table", "conv1"} <= set(found)


def test_a_chart_without_a_mark_is_a_sentence_and_a_table():
    nothing = Row("act", "act", "relu", 1, ((1, 8),), ((1, 8),), 0, 0, 0, 0, 8, 0, 32, 32)
    free = Record("free", ((1, 8),), "inference", Count("dispatch", (nothing,)))
    built = page([free, free.replace(model="free too")])
    assert built.charts == ()
    assert "free has no multiply-adds" in text(section(built, "compute"))
    assert "the same multiply-adds and parameters" in text(section(built, "difference"))
    assert html(built)


def test_records_of_one_name_are_told_apart():
    found = subjects([count("nin"), count("nin", batch=2), count("nin", input=(3, 128, 128)), count("nin", train=True)])
    assert len({one.name for one in found}) == 4


# Times.


def test_every_measured_figure_has_its_verdict():
    built = page([timed("nin", quality="noisy", reason="a neighbour")])
    measured = [chart for chart in built.charts if chart.trust]
    assert {chart.id.partition("-")[0] for chart in measured} == {
        "kinds", "modules", "operators", "roofline", "kernels",
    }  # fmt: skip
    assert {chart.trust for chart in measured} == {"noisy"}
    assert {chart.reason for chart in measured} == {"a neighbour"}
    table = next(block for block in section(built, "time").blocks if getattr(block, "id", "") == "passes")
    assert any(note.startswith("a neighbour: ") for note in table.notes)  # Below the figure, not before it.


def test_a_device_alone_has_a_column_and_parts_have_its_verdict():
    noisy = timed("nin", quality="noisy", reason="bound by launches")
    whole = noisy.measurement.whole
    half = tuple(sample / 2 for sample in whole.samples_s)
    alone = whole.replace(kind="device", samples_s=half, quality="trusted", reason="")
    built = page([noisy.replace(measurement=noisy.measurement.replace(timings=(*noisy.measurement.timings, alone)))])
    table = next(block for block in section(built, "time").blocks if getattr(block, "id", "") == "passes")
    titles = [column.title for column in table.columns]
    (line,) = table.lines
    cells = {title: cell.text for title, cell in zip(titles, line.cells, strict=True)}
    assert (cells["verdict"], cells["device alone"]) == ("noisy", seconds(alone.median_s))
    assert {chart.trust for chart in built.charts if chart.trust} == {"trusted"}
    unsure = noisy.measurement.replace(
        timings=(*noisy.measurement.timings, alone.replace(quality="void", reason="late"))
    )
    assert f"{seconds(alone.median_s)} (void)" in str(section(page([noisy.replace(measurement=unsure)]), "time"))
    assert "device alone" not in [
        column.title
        for block in section(page([noisy]), "time").blocks if getattr(block, "id", "") == "passes"
        for column in block.columns
    ]  # fmt: skip


def test_the_roofline_has_ceilings_only_where_they_were_measured():
    def roofline(record):
        return next(chart for chart in page([record]).charts if chart.id.startswith("roofline"))

    with_peaks, without = roofline(timed()), roofline(timed(environment={**MACHINE, "peaks": []}))
    names = [trace.get("name", "") for trace in with_peaks.figure["data"]]
    assert any(name.startswith("peak 200 GFLOP/s") for name in names)
    assert "analyze machine" in without.summary


def test_runs_of_several_batches_are_not_named_for_one_of_them():
    half = timed(batch=64)
    found = subjects([timed(), timed(batch=4), half.replace(dtype="bfloat16")])
    assert [one.name for one in found] == ["nin (float32)", "nin (bfloat16)"]


def test_runs_of_one_network_are_one_subject():
    found = subjects([timed(), timed(batch=4), timed(threads=1)])
    assert [one.name for one in found] == ["nin"]
    assert len(found[0].timed) == 3


def test_modules_and_gap_add_up_to_the_cut_pass():
    record = timed()
    chart = next(chart for chart in page([record]).charts if chart.id == "modules-0")
    assert record.measurement
    assert sum(chart.figure["data"][0]["x"]) == pytest.approx(sum(record.measurement.parts.values()))


# What may not be compared.


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
def test_incomparable_records_are_never_subtracted(other, reason):
    first = timed()
    assert reason in (why_not(first, other) or "")
    built = page([first, other])
    said = text(section(built, "verdict"))
    assert " than " not in said
    assert reason in text((section(built, "time"), section(built, "difference"), section(built, "verdict")))
    charts = [chart.id for chart in built.charts]
    assert not [name for name in charts if name.startswith("difference")]


def test_comparable_ones_are():
    assert "has" in text(section(page([timed("nin"), timed("alexnet")]), "verdict"))
    assert "less time" in text(section(page([timed("nin"), timed("nin", slower=2).replace(model="slow")]), "verdict"))


def test_void_times_are_shown_and_not_compared():
    said = text(section(page([timed("nin"), timed("alexnet", quality="void", reason="busy")]), "verdict"))
    assert "void" in said
    assert " time than" not in said


def test_an_empty_record_says_so():
    empty = count("nin").replace(model="hollow", count=Count("dispatch", ()))
    built = page([empty, count("nin")])
    assert "hollow has no rows: the record is empty" in text(section(built, "verdict"))
    assert "hollow is empty" in text(section(built, "difference"))
    assert html(built, "none")
    assert html(page([empty]), "none")


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
    "verdict-title",
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
    assert parsed.tags.count("script") == 3
    assert not [name for name in parsed.attributes if name.startswith("on")]
    assert "\u202e" not in written
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", written)[0]


# The file.


def test_equal_input_gives_an_equal_file():
    first, second = (html(page(counted("googlenet", "alexnet"))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("names", [("googlenet", "googlenet-no-reduction", "alexnet"), ("googlenet", "alexnet")])
def test_sizes(names):
    built = page(counted(*names))
    assert len(html(built, "none").encode()) <= 300_000
    assert len(html(built).encode()) <= 2_300_000


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


def test_no_table_is_without_lines_or_name():
    built = page(counted("googlenet", "alexnet"))
    tables = [one for part in built.sections for one in flat(part.blocks) if isinstance(one, Table)]
    assert all(one.lines and one.title and one.id for one in tables)
    assert len({one.id for one in tables}) == len(tables)


def test_a_stored_record_makes_the_same_page(tmp_path, analyze, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(dump([timed(), timed("alexnet")]))
    assert analyze("report", "run.json").status == 0
    first = (tmp_path / "analysis.html").read_bytes()
    assert analyze("report", "run.json").status == 0
    assert (tmp_path / "analysis.html").read_bytes() == first
