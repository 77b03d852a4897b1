"""Results in Python: `print` shows tables, `repr` one line, a notebook HTML, and `figure` plotly's figures."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from torch import nn

import analyzer
from analyzer.claims import ledger
from analyzer.records.record import Record
from analyzer.records.rows import Count
from analyzer.regression.counts.check_all_models import CountsResult
from analyzer.regression.outcome import ModelCheck
from tests.timed_records import timed

NET = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


RESULTS = {
    "record": lambda: analyzer.count("googlenet"),
    "module": lambda: analyzer.count(NET, input="3x32x32"),
    "verified": lambda: analyzer.count("nin", input=(3, 64, 64), verify=True, memory=True),
    "comparison": lambda: analyzer.compare("googlenet", "alexnet", "nin"),
    "parameters": lambda: analyzer.params(NET),
    "claim": lambda: ledger()[0],
    "claims": ledger,
    "check": lambda: CountsResult((ModelCheck("nin", ()),)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_prints_as_a_table_and_has_a_short_repr(name):
    result = RESULTS[name]()
    assert "\n" not in repr(result)
    assert len(repr(result)) < 1000
    assert str(result).count("\n") > 3
    assert max(map(len, str(result).splitlines())) <= 80
    assert "\x1b" not in str(result)
    html = result._repr_html_()
    assert html.count("<table") == len(result.table().tables)
    assert "<script" not in html


def test_print_is_the_table_of_the_command_line(analyze):
    assert f"{analyzer.count('googlenet')}\n" == analyze("--variant", "googlenet").out
    assert f"{analyzer.compare('googlenet', 'nin')}\n" == analyze("--variant", "googlenet,nin").out


def test_a_table_has_options():
    record = analyzer.count("googlenet")
    table = record.table(by="operator", sort="params", top=2)
    assert [row[0].text for row in table.tables[0].rows] == ["conv2d", "linear", "(7 more)", "total"]
    assert repr(table) == str(table)
    comparison = analyzer.compare("googlenet", "nin").table(metric="params")
    assert comparison.tables[1].title.startswith("params by module")
    with pytest.raises(analyzer.AnalyzerError, match="sort is 'mac'; nearest: macs"):
        record.table(sort="mac")


def test_a_comparison_refuses_unknown_options():
    comparison = analyzer.compare("googlenet", "nin")
    with pytest.raises(analyzer.AnalyzerError, match=r"metric is 'param'.*nearest: params"):
        comparison.table(metric="param")
    with pytest.raises(analyzer.AnalyzerError, match="depth is 0; wanted"):
        comparison.table(depth=0)


def test_a_model_in_a_wrapper_is_divided():
    record = analyzer.count(nn.Sequential(NET), input="3x32x32")
    assert [row[0].text for row in record.table().tables[0].rows] == ["0", "0", "1", "2", "total"]
    assert [row[0].text for row in record.table(depth=1).tables[0].rows] == ["0", "total"]


def test_a_package_that_hides_the_renderer_is_named(tmp_path):
    (tmp_path / "reports.py").write_text("", encoding="utf-8")
    script = "import analyzer\nrecord = analyzer.count('nin')\nprint(repr(record))\nprint(record)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("<Record nin")
    assert "another `reports` hides macscope's; rename it" in done.stderr.splitlines()[-1]


def test_a_timed_record_shows_its_times_unless_rows_of_counts_are_chosen():
    record = timed("nin")
    assert "trusted" in str(record)
    assert "ms (" in repr(record) or "s (trusted)" in repr(record)
    assert record.table(by="operator").tables[0].columns[0].title == "operator"


def test_notes_and_uncounted_operators_are_below_the_table():
    record = Record("m", (), "inference", Count("dispatch", (), {"aten::z": 2}), notes=("it ran on fake tensors",))
    assert "aten::z 2" in str(record)
    assert "it ran on fake tensors" in str(record)


def test_names_are_escaped():
    name = "<script>alert(1)</script>\x1b[31m\u202e\" onclick='x"
    record = analyzer.count("nin").replace(model=name)
    html = record._repr_html_()
    assert "<script" not in html
    assert "&lt;script" in html
    for text in (html, str(record), repr(record)):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_html_has_bars_and_exact_values_to_sort_by():
    html = analyzer.count("googlenet")._repr_html_()
    assert "data-v=1582671872" in html
    assert len(re.findall(r"<i style=--s:0\.219>", html)) == 1  # conv2 has 346.8 M of 1.583 G.
    assert "http" not in html


def test_output_in_ascii_only_is_ascii(monkeypatch):
    record = analyzer.count("nin")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    shown = str(record)
    monkeypatch.undo()
    assert shown.isascii()


def test_figures_are_plotlys():
    record = analyzer.count("googlenet")
    (tiles,) = record.figure().data
    assert (tiles.type, tiles["values"][0]) == ("icicle", record.totals.macs)
    assert record.figure("params").data[0]["values"][0] == record.totals.params
    bars = analyzer.compare("googlenet", "nin").figure("params")
    assert sum(trace.x[0] for trace in bars.data) == record.totals.params
    assert bars.layout.xaxis.title.text == "parameters"
    assert timed("nin").figure("time").data[0].type == "icicle"


@pytest.mark.parametrize(
    ("name", "message"),
    [("computed", "no figure 'computed'; wanted one of: compute"), ("time", "nin has none to show")],
)
def test_figures_that_do_not_exist_are_refused(name, message):
    with pytest.raises(analyzer.AnalyzerError, match=message):
        analyzer.count("nin").figure(name)
