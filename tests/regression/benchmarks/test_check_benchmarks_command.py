"""`analyze check FILE --against BASE`: formats, exit statuses, bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from analyzer.regression.benchmarks.compare_runs import compare_runs
from analyzer.regression.paired.sequential_test import Rules
from analyzer.trends.pytest_benchmark import parse_run
from reports.regression import markdown
from tests.trends.bench_files import MACHINE, bench, written

NINE = {f"test_{name}": 1e-3 * (index + 1) for index, name in enumerate("abcdefghi")}
HOSTILE = "test_<b>&[x](javascript:y)\x1b[31m\n::error::no"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    written(tmp_path, "pyproject.toml", "")
    written(tmp_path, "base.json", bench({name: samples(time) for name, time in NINE.items()}))
    return tmp_path


def samples(time: float) -> list[float]:
    return [time * (1 + 0.001 * (index % 3)) for index in range(30)]


@pytest.fixture
def slower(project):
    """test_c takes twice as long."""
    times = {name: samples(time * (2 if name == "test_c" else 1)) for name, time in NINE.items()}
    written(project, "bench.json", bench(times, day=2))


@pytest.fixture
def check(analyze):
    return lambda *options: analyze("check", "bench.json", "--against", "base.json", *options)


def test_a_regression_fails(check, slower):
    done = check()
    assert done.status == 1
    assert "1 regressed" in done.out
    assert "analyze check --base" in " ".join(done.out.split())


def test_files_without_a_common_benchmark(check, project):
    written(project, "bench.json", bench({f"test_{index}": samples(1e-3) for index in range(20)}))
    done = check()
    assert done.status == 0
    assert done.out.startswith("Benchmarks: nothing to compare, 20 new, 9 removed")
    out = " ".join(done.out.split())
    assert "Only in this run: test_0, test_1, test_2, test_3, test_4, test_5, test_6, test_7 and 12 more." in out
    assert "Only in the base: test_a, " in out
    assert check("--strict").status == 3


def test_json_has_a_change_per_benchmark(check, slower):
    data = json.loads(check("--format", "json").out)
    assert data["status"] == "failed"
    assert {change["model"]: change["outcome"] for change in data["changes"]}["test_c"] == "regressed"
    assert [benchmark["model"] for benchmark in data["benchmarks"]] == list(NINE)
    assert all(benchmark["minimum_detectable_change"] > 0 for benchmark in data["benchmarks"])


def test_csv_markdown_and_junit(check, slower):
    rows = list(csv.DictReader(io.StringIO(check("--format", "csv").out)))
    assert [row["model"] for row in rows] == list(NINE)
    assert "| test\\_c |" in check("--format", "md").out
    suite = Xml.fromstring(check("--junit", "check.xml", "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures")) == ("9", "1")
    failure = suite.find(".//testcase[@classname='test_c']/failure")
    assert failure is not None
    assert "regressed" in (failure.get("message") or "")
    assert Xml.parse("check.xml").getroot().get("failures") == "1"


def test_actions_get_an_annotation_and_a_summary(check, slower, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert "::error title=test_c%3A regressed::time " in check().err
    assert "regressed" in Path("summary.md").read_text()


def test_annotations_are_limited_to_ten(check, project, monkeypatch):
    names = [f"test_{index:02}" for index in range(60)]
    written(project, "base.json", bench(dict.fromkeys(names, samples(1e-3))))
    written(project, "bench.json", bench({name: samples(4e-3 if name < "test_20" else 1e-3) for name in names}))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = [line for line in check().err.splitlines() if line.startswith("::error")]
    assert len(lines) == 10
    assert lines[-1].startswith("::error title=11 more")


def test_a_long_summary_keeps_the_regressions():
    names = [f"test_{'x' * 100}_{index:03}" for index in range(200)]
    base = parse_run(bench(dict.fromkeys(names, samples(1e-3))))
    head = parse_run(bench({name: samples(4e-3 if name.endswith("7") else 1e-3) for name in names}))
    result = compare_runs(base, head, Rules())
    text = markdown.dump(result, 10_000)
    assert len(text.encode()) < 10_000
    assert text.count("| regressed |") == len(result.failures) == 20
    assert text.count("| unchanged |") > 10
    assert "Too long to show here: " in text
    assert markdown.dump(result) == markdown.dump(result, 10**6)


def test_names_are_neutralized_in_every_format(check, project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for day, name in enumerate(("base.json", "bench.json")):
        written(project, name, bench({HOSTILE: samples(1e-3 * (1 + day))}, day=1 + day))
    for form in ("table", "md", "csv", "json", "latex", "junit"):
        done = check("--format", form)
        assert done.status == 1
        for text in (done.out, done.err):
            assert "\x1b" not in text
            assert not any(line.lstrip().startswith("::error::no") for line in text.splitlines())
        if form == "md":
            assert "<b>" not in done.out
            assert r"\[x\](javascript" in done.out  # Escaped brackets make no link.


@pytest.mark.parametrize(
    ("options", "noun"),
    [
        (("bench.json",), "--against BASE"),
        (("--against", "base.json"), "--against BASE"),
        (("base.json", "--against", "base.json", "--update"), "only the options"),
        (("base.json", "--against", "base.json", "--base", "HEAD"), "only the options"),
        (("base.json", "--against", "base.json", "--variant", "nin"), "only the options"),
        (("none.json", "--against", "base.json"), "cannot read 'none.json'"),
        (("pyproject.toml", "--against", "base.json"), "'pyproject.toml' is not JSON"),
        (("bare.json", "--against", "base.json"), "--benchmark-save-data"),
        (("empty.json", "--against", "base.json"), "'empty.json' has no benchmark"),
    ],
)
def test_bad_input_is_one_line(analyze, project, options, noun):
    written(project, "bare.json", bench({"b": 1e-3}, raw=False))
    written(project, "empty.json", bench({}))
    done = analyze("check", *options)
    assert (done.status, done.out) == (2, "")
    assert noun in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        (bench({"b": [1e-3, 1e300]}), "1e+300"),
        (bench({"b": [1e-3, float("nan")]}), "nan"),
        (bench({"b": [1e-3, -1.0]}), "-1.0"),
        (bench({"b": 1e-3})[:200], "is not JSON"),
        ("", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
    ],
)
def test_damaged_files_are_refused_in_one_line(analyze, project, text, noun):
    written(project, "bad.json", text)
    for files in (("bad.json", "--against", "base.json"), ("base.json", "--against", "bad.json")):
        done = analyze("check", *files)
        assert done.status == 2
        assert noun in done.err
        assert done.err.count("\n") == 1


def test_files_of_two_machines_are_incomparable(check, project):
    other = {**MACHINE, "cpu": {"brand_raw": "Another CPU", "count": 4}}
    written(project, "bench.json", bench({name: samples(time) for name, time in NINE.items()}, machine=other))
    done = check()
    assert done.status == 3
    assert "Example CPU 3 GHz against Another CPU" in " ".join(done.out.split())
