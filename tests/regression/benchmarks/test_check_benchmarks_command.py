"""`analyze check FILE --against BASE` from the command line: outputs, exit statuses, bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from analyzer.history.pytest_benchmark import parse
from analyzer.regression.benchmarks.compare import compare
from analyzer.regression.paired.sequential_test import Rules
from reports.regression.benchmarks_formats import markdown
from tests.history.made import MACHINE, bench, written

NINE = {f"test_{name}": 1e-3 * (number + 1) for number, name in enumerate("abcdefghi")}
HOSTILE = "test_<b>&[x](javascript:y)\x1b[31m\n::error::no"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    written(tmp_path, "pyproject.toml", "")
    written(tmp_path, "base.json", bench({name: around(time) for name, time in NINE.items()}))
    return tmp_path


def around(time: float) -> list[float]:
    return [time * (1 + 0.001 * (number % 3)) for number in range(30)]


@pytest.fixture
def slower(project):
    times = {name: around(time * (2 if name == "test_c" else 1)) for name, time in NINE.items()}
    written(project, "bench.json", bench(times, day=2))


@pytest.fixture
def check(analyze):
    return lambda *options: analyze("check", "bench.json", "--against", "base.json", *options)


def test_a_regression_fails_and_what_files_can_show_is_said(check, slower):
    done = check()
    assert done.status == 1
    assert "Benchmarks failed: 8 unchanged, 1 regressed" in done.out.replace("\n", " ") or "1 regressed" in done.out
    assert "two runs that are not paired cannot show small changes" in " ".join(done.out.split())
    assert "analyze check --base times two commits side by side" in " ".join(done.out.split())


def test_files_without_a_benchmark_in_common_say_so(check, project):
    written(project, "bench.json", bench({f"test_{number}": around(1e-3) for number in range(20)}))
    done = check()
    assert done.status == 0
    assert done.out.startswith("Benchmarks incomparable: 29 incomparable")
    said = " ".join(done.out.split())
    assert "Only in this run: test_0, test_1, test_2, test_3, test_4, test_5, test_6, test_7 and 12 more." in said
    assert "Only in the base: test_a, " in said
    assert check("--strict").status == 3


def test_equal_files_pass(analyze, project):
    written(project, "bench.json", Path("base.json").read_text())
    assert analyze("check", "bench.json", "--against", "base.json").status == 0


def test_json_has_a_verdict_a_benchmark(check, slower):
    data = json.loads(check("--format", "json").out)
    assert data["status"] == "failed"
    assert {one["model"]: one["outcome"] for one in data["verdicts"]}["test_c"] == "regressed"
    assert [one["model"] for one in data["benchmarks"]] == list(NINE)
    assert all(one["smallest_shown"] > 0 for one in data["benchmarks"])


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


def test_of_many_regressions_ten_annotations_are_left(check, project, monkeypatch):
    names = [f"test_{number:02}" for number in range(60)]
    written(project, "base.json", bench(dict.fromkeys(names, around(1e-3))))
    written(project, "bench.json", bench({name: around(4e-3 if name < "test_20" else 1e-3) for name in names}))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = [line for line in check().err.splitlines() if line.startswith("::error")]
    assert len(lines) == 10
    assert lines[-1] == "::error title=11 more regressed::see the table"


def test_a_summary_that_would_be_too_long_keeps_what_regressed(check, project):
    names = [f"test_{'x' * 100}_{number:03}" for number in range(200)]
    base = parse(bench(dict.fromkeys(names, around(1e-3))))
    head = parse(bench({name: around(4e-3 if name.endswith("7") else 1e-3) for name in names}))
    files = compare(base, head, Rules())
    text = markdown(files, 10_000)
    assert len(text.encode()) < 10_000
    assert text.count("| regressed |") == len(files.failures) == 20
    assert text.count("| unclear |") > 10
    assert "Too long to show here: " in text
    assert markdown(files) == markdown(files, 10**6)


def test_names_are_inert_everywhere(analyze, project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for day, name in enumerate(("base.json", "bench.json")):
        written(project, name, bench({HOSTILE: around(1e-3 * (1 + day))}, day=1 + day))
    for form in ("table", "md", "csv", "json", "latex", "junit"):
        done = analyze("check", "bench.json", "--against", "base.json", "--format", form)
        assert done.status == 1
        for text in (done.out, done.err):
            assert "\x1b" not in text
            assert not any(line.lstrip().startswith("::error::no") for line in text.splitlines())
        if form == "md":
            assert "<b>" not in done.out
            assert r"\[x\](javascript" in done.out  # A bracket after a backslash begins and ends no link.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("bench.json",), "two files are compared: analyze check FILE --against BASE"),
        (("--against", "base.json"), "two files are compared"),
        (("base.json", "--against", "base.json", "--update"), "a FILE is compared as it is"),
        (("base.json", "--against", "base.json", "--base", "HEAD"), "a FILE is compared as it is"),
        (("none.json", "--against", "base.json"), "cannot read 'none.json'"),
        (("pyproject.toml", "--against", "base.json"), "'pyproject.toml' is not JSON"),
        (("bare.json", "--against", "base.json"), "save it with --benchmark-save-data"),
        (("empty.json", "--against", "base.json"), "'empty.json' has no benchmark"),
    ],
)
def test_bad_input_is_one_line(analyze, project, options, said):
    written(project, "bare.json", bench({"b": 1e-3}, raw=False))
    written(project, "empty.json", bench({}))
    done = analyze("check", *options)
    assert done.status == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bench({"b": [1e-3, 1e300]}), "1e+300 is no number of seconds"),
        (bench({"b": [1e-3, float("nan")]}), "nan is no number of seconds"),
        (bench({"b": [1e-3, -1.0]}), "-1.0 is no number of seconds"),
        (bench({"b": 1e-3})[:200], "is not JSON"),
        ("", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
    ],
)
def test_damaged_files_are_refused_in_a_line(analyze, project, text, said):
    written(project, "bad.json", text)
    for files in (("bad.json", "--against", "base.json"), ("base.json", "--against", "bad.json")):
        done = analyze("check", *files)
        assert done.status == 2
        assert said in done.err
        assert done.err.count("\n") == 1


def test_a_limit_below_the_tolerance_is_refused(analyze, project):
    written(project, "pyproject.toml", "[tool.analyzer.check]\ntime_limit = 0.001\n")
    done = analyze("check", "base.json", "--against", "base.json")
    assert done.status == 2
    assert "wanted a limit above the tolerance" in done.err


def test_files_of_two_machines_are_incomparable(analyze, project):
    other = {**MACHINE, "cpu": {"brand_raw": "Another CPU", "count": 4}}
    written(project, "bench.json", bench({name: around(time) for name, time in NINE.items()}, machine=other))
    done = analyze("check", "bench.json", "--against", "base.json")
    assert done.status == 3
    assert "Example CPU 3 GHz against Another CPU" in " ".join(done.out.split())
