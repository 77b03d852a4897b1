"""`analyze report`: where it writes, which files it refuses, and what it does not import."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from analyzer.cli.jobs.report import add_memory
from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.records.record_json import dump
from tests.timed_records import timed

NIN = ("report", "--variant", "nin", "--charts", "none")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_an_output_it_is_analysis_html(analyze, here):
    outcome = analyze(*NIN)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "analyze: wrote analysis.html\n"
    assert (here / "analysis.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_dash_is_standard_output(analyze, here):
    outcome = analyze(*NIN, "-o", "-")
    assert outcome.status == 0
    assert outcome.out.startswith("<!doctype html>")
    assert list(here.iterdir()) == []


def test_charts(analyze, here):
    sizes = {}
    for charts in ("none", "link", "embed"):
        assert analyze("report", "--variant", "nin", "--charts", charts).status == 0
        sizes[charts] = (here / "analysis.html").stat().st_size
    assert sizes["none"] < sizes["link"] < 200_000 < 1_900_000 < sizes["embed"]


def test_a_summary_in_markdown(analyze):
    outcome = analyze("report", "--variant", "googlenet,nin", "--format", "md")
    assert outcome.status == 0
    assert outcome.out.startswith("## googlenet against nin\n")
    assert "7.9 % fewer parameters than nin" in outcome.out  # 1 - 6,998,552 / 7,595,176
    assert "| total | 1.583 G | 1.100 G | -482.5 M | -30.5 % |" in outcome.out
    assert r"\_" in outcome.out


def test_figures_as_files(analyze, here):
    outcome = analyze(*NIN, "--figures", "figures")
    assert outcome.status == 0
    names = {path.name for path in (here / "figures").iterdir()}
    assert {"tiles-0.html", "memory-curve.html", "weights.html"} <= names
    assert "plotly" in (here / "figures" / "weights.html").read_text(encoding="utf-8")
    if find_spec("kaleido") is None:
        assert "kaleido is not installed" in outcome.err


def test_figures_into_a_file_is_an_error(analyze, here):
    (here / "taken").write_text("")
    outcome = analyze(*NIN, "--figures", "taken/inside")
    assert outcome.status == 2
    assert "cannot make the folder" in outcome.err


def test_the_page_has_the_command_that_makes_it_again(analyze):
    out = analyze(*NIN, "--set", "conv1.out=64", "--batch", "2", "--input", "3x128x128", "-o", "-").out
    assert "analyze report nin --set conv1.out=64 --input 3x128x128 --batch 2" in out


def test_nothing_to_report_on(analyze):
    outcome = analyze("report")
    assert outcome.status == 2
    assert "nothing to report on" in outcome.err


# Stored records.


def damaged(**changes):
    data = json.loads(dump([timed()]))
    record = data["records"][0]
    for key, value in changes.items():
        (data if key in data else record)[key] = value
    return json.dumps(data)


def damaged_timings(**changes):
    timings = json.loads(dump([timed()]))["records"][0]["timings"]
    return damaged(timings=[{**timing, **changes} for timing in timings])


def damaged_measurement(**changes):
    measurement = json.loads(dump([timed()]))["records"][0]["measurement"]
    return damaged(measurement={**measurement, **changes})


REFUSED = {
    "new.json": (damaged(schema_version=99), "schema version 99"),
    "cut.json": (dump([timed()])[:5000], "is not JSON"),
    "other.json": ('{"hello": 1}', "other.json"),
    "empty.json": ('{"schema_version": 2, "status": "ok", "records": []}', "no records"),
    "rows.json": (damaged(rows=[{"path": 1}]), "is damaged"),
    "quality.json": (damaged_measurement(quality="fine"), "is damaged"),
    "samples.json": (damaged_timings(samples_s=[]), "is damaged"),
    "infinite.json": (damaged_timings(samples_s=[float("inf")]), "is damaged"),
    "no-time.json": (damaged_timings(samples_s=[0.0, 0.0]), "is damaged"),
    "machine.json": (damaged(environment={"processor": 7}), "is damaged"),
    "missing.json": (None, "cannot read 'missing.json': No such file"),
    "bytes.json": (b"\xff\xfe\x00", "cannot read 'bytes.json'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_is_named_and_the_rest_is_shown(analyze, here, name):
    content, reason = REFUSED[name]
    if content is not None:
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (here / "good.json").write_text(dump([timed("alexnet")]))
    outcome = analyze("report", name, "good.json", "--charts", "none", "-o", "-")
    assert outcome.status == 0
    (line,) = outcome.err.splitlines()
    assert reason in line
    assert name in line
    assert name in outcome.out
    assert "60,965,224" in outcome.out


def test_if_all_are_refused_there_is_no_page(analyze, here):
    (here / "cut.json").write_text(dump([timed()])[:5000])
    outcome = analyze("report", "cut.json")
    assert outcome.status == 2
    assert "cut.json" in outcome.err
    assert not (here / "analysis.html").exists()


def test_a_stored_record_of_a_named_network_gets_its_memory(analyze, here):
    (here / "run.json").write_text(dump([timed().replace(memory=None)]))
    assert "Memory peaks at 33.22\u00a0MB" in analyze("report", "run.json", "--charts", "none", "-o", "-").out


def test_a_record_beside_a_variant_is_one_network(analyze, here):
    (here / "run.json").write_text(dump([timed()]))
    out = analyze("report", "run.json", "--variant", "nin", "--charts", "none", "-o", "-").out
    assert "<h1>nin</h1>" in out


def test_a_model_by_reference(analyze, here):
    (here / "net.py").write_text("from torch import nn\n\n\ndef Net():\n    return nn.Conv2d(3, 8, 3)\n")
    outcome = analyze("report", "--model", "net.py:Net", "--input", "3x8x8", "--charts", "none", "-o", "-")
    assert outcome.status == 0
    assert "7,776" in outcome.out  # 8 · 6 · 6 outputs of 3 · 3 · 3 products.


def test_a_record_of_an_earlier_version_gets_its_memory_too(here):
    record = count_variant(variant("nin"))
    rows = tuple(row.replace(kernel=None, stride=None, padding=None, groups=None, sources=None) for row in record.rows)
    stored = record.replace(count=record.count.replace(rows=rows))
    assert add_memory(stored).memory == count_variant(variant("nin"), memory=True).memory
    other = rows[0].replace(macs=rows[0].macs + 1)
    assert add_memory(stored.replace(count=record.count.replace(rows=(other, *rows[1:])))).memory is None
