"""`analyze history` from the command line: imports, every form of output, bad input; growth that is new."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from analyzer.records.run_files import save
from analyzer.trends.series import ALL
from tests.timed_records import timed
from tests.trends.bench_files import MACHINE, bench, written

OTHERS = ("b", "c", "d", "e")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "pyproject.toml", "")
    return tmp_path


@pytest.fixture
def runs(project):
    """Twelve runs of five benchmarks; the first of them takes 1.5 times as long from the seventh run on."""
    for day in range(1, 13):
        machine = 1 + 0.1 * (day % 3)  # What every benchmark of a run shares.
        times = {"a": 0.010 * machine * (1.5 if day > 6 else 1.0), **dict.fromkeys(OTHERS, 0.002 * machine)}
        written(project / "runs", f"{day:02}.json", bench(times, day=day))
    return "runs"


def test_a_change_is_shown_with_its_commits_and_exit_status_0(analyze, runs):
    done = analyze("history", "--import", runs)
    assert done.status == 0
    assert "imported 12 runs of runs" in done.err
    table, changes = done.out.split("Changes")
    assert table.count("shared") == 0
    assert table.count("other times") == 5
    # Between the commits of the sixth and the seventh day, shown to eight digits.
    (line,) = [line for line in changes.splitlines() if "00000000..00000000" in line]
    assert line.split()[:3] == ["a", "+50", "%"]
    assert "2026-01-07" in line


def test_importing_the_same_files_again_adds_no_runs(analyze, runs):
    analyze("history", "--import", runs)
    done = analyze("history", "--import", runs)
    assert "imported 0 runs of runs; 12 known already" in done.err
    rows = list(csv.DictReader(io.StringIO(analyze("history", "--format", "csv", "--model", "a").out)))
    assert [row["ratio"] for row in rows] == [""] * 6 + ["1.5"] + [""] * 5, "where a new level begins"


def test_json_has_every_point_and_change(analyze, runs):
    analyze("history", "--import", runs)
    data = json.loads(analyze("history", "--format", "json").out)
    assert data["metric"] == "time"
    first = next(series for series in data["series"] if series["model"] == "a")
    assert first["points"][0]["value"] == pytest.approx(0.011)
    (change,) = first["changes"]
    assert change["size"] == pytest.approx(0.5)
    assert (change["before"]["commit"], change["after"]["commit"]) == (f"{6:040x}", f"{7:040x}")
    assert all(not series["changes"] for series in data["series"] if series["model"] != "a")


def test_a_named_reference_removes_the_machines_influence(analyze, runs):
    done = analyze("history", "--import", runs, "--model", "a", "--reference", "b")
    assert "reference" in done.out
    assert "+50 %" in done.out


def test_runs_of_analyze_time_and_their_counts(analyze, project):
    record = timed("nin")
    for second in range(3):
        save([record.replace(created=f"2026-01-02T03:04:0{second}Z")], project)
    assert "nin" in analyze("history").out
    done = analyze("history", "--metric", "macs")
    assert done.status == 0
    assert "nin" in done.out


def test_two_machines_have_separate_tables_and_are_incomparable(analyze, project):
    other = {**MACHINE, "cpu": {"brand_raw": "Another CPU", "count": 4}}
    for day in range(1, 4):
        written(project / "runs", f"{day}.json", bench({"a": 0.01}, day=day))
        written(project / "runs", f"other{day}.json", bench({"a": 0.02}, day=day, machine=other))
    out = " ".join(analyze("history", "--import", "runs").out.split())
    assert "environment 1 of 2" in out
    assert "incomparable with environment 2: processor" in out


@pytest.mark.parametrize("form", ["table", "md", "csv", "json", "latex"])
def test_names_are_neither_markup_nor_commands(analyze, project, monkeypatch, form):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    names = {"::error::no", "##[error]no", "test_x[\x1b[31m<img src=x onerror=y>|`$(z)`]"}
    written(project / "runs", "1.json", bench(dict.fromkeys(names, 0.01)))
    done = analyze("history", "--import", "runs", "--format", form)
    assert done.status == 0
    assert not any(line.lstrip().startswith("::") for line in done.out.splitlines())
    assert not [mark for mark in ("\x1b", "##[") if mark in done.out]
    assert form != "md" or "<img" not in done.out
    assert form != "json" or {series["model"] for series in json.loads(done.out)["series"]} == {*names, ALL}


def test_an_import_that_cannot_be_stored_fails(analyze, runs):
    Path(".analyze").write_text("in the way")
    done = analyze("history", "--import", runs)
    assert done.status == 2
    assert "cannot store the import" in done.err
    assert done.err.count("\n") == 1


def test_another_programs_file_is_left_out_by_name(analyze, project, runs):
    written(project / "runs", "package.json", '{"name": "other"}')
    done = analyze("history", "--import", runs)
    assert done.status == 0
    assert "left out: 'runs/package.json' has no benchmarks" in done.err
    assert "imported 12 runs" in done.err


@pytest.mark.parametrize(
    ("options", "noun"),
    [
        (("--import", "none.json"), "there is no 'none.json'"),
        (("--import", "pyproject.toml"), "'pyproject.toml' is not JSON"),
        (("--import", "empty"), "has no .json files below it"),
        (("--import", "x" * 300), "File name too long"),
        (("--model", "googlenett"), "no runs of 'googlenett'"),
        (("--metric", "weight"), "'weight' is not one of"),
    ],
)
def test_bad_input_is_one_line(analyze, project, options, noun):
    Path("empty").mkdir()
    done = analyze("history", *options)
    assert done.status == 2
    assert noun in done.err
    assert done.out == ""


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_without_runs_a_message_names_the_command(analyze, form):
    done = analyze("history", "--format", form)
    assert done.status == 0
    assert "no runs yet; run analyze time" in done.err


def test_a_metric_that_no_run_has(analyze, runs):
    done = analyze("history", "--import", runs, "--metric", "macs")
    assert (done.status, done.out) == (0, "")
    assert "metric macs" in done.err


def test_rebuild_recreates_the_cache(analyze, project, runs):
    analyze("history", "--import", runs)
    Path(".analyze/cache.sqlite").unlink()
    done = analyze("history", "--rebuild")
    assert "12 runs" in done.err
    assert Path(".analyze/cache.sqlite").exists()


def test_without_ruptures_trends_are_shown_with_a_hint(analyze, runs, monkeypatch):
    monkeypatch.setattr("analyzer.trends.change_points.find_spec", lambda name: None)
    done = analyze("history", "--import", runs)
    assert done.status == 0
    assert "pip install '.[check]'" in done.out + done.err


def test_growth_fails_once_and_is_known_then(analyze, runs):
    first = analyze("history", "--import", runs, "--fail-on-new", "--acknowledge", "--format", "json")
    assert first.status == 1
    assert "new: a: +50 %" in first.err
    assert [change["new"] for series in json.loads(first.out)["series"] for change in series["changes"]] == [True]
    again = analyze("history", "--fail-on-new", "--format", "json")
    assert (again.status, again.err) == (0, "")
    assert [change["new"] for series in json.loads(again.out)["series"] for change in series["changes"]] == [False]


def test_without_acknowledgement_growth_stays_new(analyze, runs, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for _ in range(2):
        done = analyze("history", "--import", runs, "--fail-on-new", "--known", "known.json")
        assert done.status == 1
        assert "::error title=a%3A grew::+50 %" in done.err
    assert not Path("known.json").exists()


@pytest.mark.parametrize("text", ["[]", "{", '{"schema_version": 2, "changes": []}',
                                  '{"schema_version": 1, "changes": [{}]}'])  # fmt: skip
def test_a_damaged_file_of_known_changes_is_bad_input(analyze, runs, text):
    Path("known.json").write_text(text)
    done = analyze("history", "--import", runs, "--known", "known.json", "--acknowledge")
    assert done.status == 2
    assert "'known.json' has no known changes" in done.err
    assert Path("known.json").read_text() == text
