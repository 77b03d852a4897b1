"""`analyze history list|show|export|import|prune|migrate` from the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from analyzer.cli.commands.history_database import COMMANDS
from analyzer.database.columns import NAMES
from analyzer.database.result_rows import encode
from analyzer.database.store import VARIABLE, open_store
from analyzer.records.run_files import save
from tests.database.results import result
from tests.timed_records import timed

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A project with three timed runs, and a sweep of which one configuration failed."""
    root = tmp_path_factory.mktemp("filled")
    for batch, quality in ((1, "trusted"), (8, "noisy"), (16, "void")):
        save([timed("nin", batch=batch, quality=quality, kernels=False)], root)
    with open_store(root=root) as store:
        store.insert([encode(result("f0", None, batch=32, model="vgg16")), encode(result("f1", batch=1))])
        assert store.count() == 5
    return root


@pytest.fixture
def runs(project, filled):
    shutil.copytree(filled / ".analyze", project / ".analyze")  # With times of modification: nothing is parsed again.


def rows(outcome) -> list[dict[str, str]]:
    assert outcome.status == 0, outcome.err
    return list(csv.DictReader(io.StringIO(outcome.out)))


def test_results_are_listed_one_per_line(analyze, runs):
    shown = analyze("history", "list")
    assert (shown.status, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines()]
    assert len([line for line in lines if "nin" in line]) == 4
    assert next(line for line in lines if line and line[0] == "f0")[-2:] == ["failed", "-"]
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    for word in ("noisy", "void", "batch 8, 2 threads", "± 95 %"):
        assert word in shown.out


def test_columns_without_values_are_left_out(analyze, runs):
    heading = analyze("history", "list", "--where", 'measure == "counts" and status == "ok"').out
    assert "MACs" in heading
    assert not [title for title in ("time", "peak memory", "± 95 %", "host", "run") if title in heading]


def test_a_filter_selects(analyze, runs):
    listed = rows(analyze("history", "list", "--where", 'model ~ "n*" and batch in [8, 16]', "--format", "csv"))
    assert sorted(row["batch"] for row in listed) == ["16", "8"]
    assert list(listed[0]) == list(NAMES)
    assert rows(analyze("history", "list", "--where", 'status == "failed"', "--format", "csv"))[0]["key"] == "f0"


def test_a_filter_with_an_error_is_one_line(analyze, runs):
    for command in ("list", "export", "prune"):
        shown = analyze("history", command, "--where", "btch == 8")
        assert (shown.status, shown.out) == (2, "")
        assert shown.err == "analyze: filter, character 1: no column 'btch'; nearest: batch, torch\n"


def test_a_limit_says_what_it_leaves_out(analyze, runs):
    assert "The first 2 of 5 results" in analyze("history", "list", "--limit", "2").out
    data = json.loads(analyze("history", "list", "--limit", "2", "--format", "json").out)
    assert (len(data["results"]), data["total"]) == (2, 5)


def test_a_column_sorts(analyze, runs):
    def values(column, *options):
        return [row[column] for row in rows(analyze("history", "list", "--format", "csv", *options))]

    def batches(*options):
        return list(map(int, values("batch", *options)))

    assert batches("--sort", "batch", "--limit", "2") == [32, 16], "the largest first, as analyze --sort"
    assert batches("--sort", "batch", "--reverse", "--limit", "4") == [1, 1, 8, 16]
    assert batches("--sort", "time_s", "--where", "batch > 1") == [16, 8, 32], "an unknown time is last"
    models = values("model", "--sort", "model")
    assert models == sorted(models)
    assert values("model", "--sort", "model", "--reverse") == models[::-1]
    assert values("created") == values("created", "--sort", "created") == sorted(values("created"), reverse=True)
    shown = analyze("history", "list", "--sort", "tme_s")
    assert (shown.status, "no column 'tme_s'; nearest: time_s" in shown.err) == (2, True)


@pytest.mark.parametrize("form", ["md", "latex"])
def test_other_forms(analyze, runs, form):
    assert "vgg16" in analyze("history", "list", "--format", form).out


def test_runs_are_listed(analyze, runs):
    shown = analyze("history", "list", "--runs")
    assert len([line for line in shown.out.splitlines() if "20260102T030405Z-" in line]) == 3
    (line,) = [line.split() for line in shown.out.splitlines() if line.startswith("sweep")]
    assert line[:3] == ["sweep", "2", "1"]
    assert len(json.loads(analyze("history", "list", "--runs", "--limit", "2", "--format", "json").out)["results"]) == 2
    assert analyze("history", "list", "--runs", "--where", "batch == 8").status == 2


def test_a_project_without_results(analyze, project):
    for command in (["list"], ["list", "--runs"], ["export"]):
        shown = analyze("history", *command)
        assert (shown.status, shown.out) == (0, "" if "--runs" not in command else shown.out)
        assert "no results yet" in shown.err
    assert [path.name for path in project.iterdir()] == ["pyproject.toml"]


def test_a_filter_that_selects_nothing_says_so(analyze, runs):
    shown = analyze("history", "list", "--where", "batch == 3")
    assert (shown.status, shown.out) == (0, "")
    assert "the filter selects no result" in shown.err


def test_a_result_is_shown_by_the_beginning_of_its_key(analyze, runs):
    key = rows(analyze("history", "list", "--where", 'quality == "trusted"', "--format", "csv"))[0]["key"]
    shown = analyze("history", "show", key[:10])
    assert shown.status == 0
    for word in (key, "Example CPU 3 GHz", "cccp1", "7,595,176"):
        assert word in shown.out
    assert json.loads(analyze("history", "show", key, "--format", "json").out)["record"]["model"] == "nin"
    assert "out of memory" in analyze("history", "show", "f0").out
    several = analyze("history", "show", "f")
    assert (several.status, "several results begin with 'f'" in several.err) == (2, True)
    assert analyze("history", "show", "none").status == 2


@pytest.mark.parametrize("suffix", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_another_store_gets_what_is_exported(analyze, runs, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", exc_type=ImportError)
    assert analyze("history", "export", "-o", f"results.{suffix}").err == f"analyze: wrote results.{suffix}\n"
    first = analyze("history", "import", f"results.{suffix}", "--store", "other.sqlite")
    again = analyze("history", "import", f"results.{suffix}", "--store", "other.sqlite")
    assert (first.status, again.status) == (0, 0)
    assert "imported 5 results" in first.err
    assert "imported 0 results" in again.err
    assert "5 known already" in again.err
    here, there = (rows(analyze("history", "export", "--format", "csv", *store))
                   for store in ([], ["--store", "other.sqlite"]))  # fmt: skip
    assert here == there


def test_an_export_is_filtered_and_goes_to_standard_output(analyze, runs):
    lines = analyze("history", "export", "--where", "time_s != none", "--limit", "2").out.splitlines()
    assert [json.loads(line)["model"] for line in lines] == ["nin", "nin"]


@pytest.mark.slow
def test_parquet_goes_through_a_pipe(runs, environment):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    program = [sys.executable, "-m", "analyzer", "history", "export", "--format", "parquet"]
    done = subprocess.run(program, capture_output=True, env=environment, check=True)
    assert parquet.read_table(io.BytesIO(done.stdout)).num_rows == 5


def test_a_damaged_file_is_not_imported(analyze, project):
    (project / "bad.jsonl").write_text("{\n")
    shown = analyze("history", "import", "bad.jsonl", "--store", "other.sqlite")
    assert shown.status == 2
    assert "bad.jsonl, line 1 is no JSON" in shown.err


@pytest.mark.parametrize(
    ("file", "word"), [("empty.jsonl", "no results"), ("/dev/zero", "256 MiB"), (".", "directory")]
)
def test_what_has_no_results_is_not_imported(analyze, project, file, word):
    (project / "empty.jsonl").touch()
    shown = analyze("history", "import", file, "--store", "other.sqlite")
    assert (shown.status, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert word in shown.err


def test_a_pipe_is_imported_whole(analyze, runs, project):
    lines = analyze("history", "export").out * 20  # More than a pipe holds.
    os.mkfifo(project / "pipe")
    writer = threading.Thread(target=(project / "pipe").write_text, args=[lines])
    writer.start()
    shown = analyze("history", "import", "pipe", "--store", "other.sqlite")
    writer.join()
    assert "imported 5 results of pipe" in shown.err
    assert "95 known already" in shown.err


def test_pruning(analyze, runs, project):
    files = sorted((project / ".analyze/records").iterdir())
    would = analyze("history", "prune", "--where", 'quality == "void"', "--dry-run")
    assert "would delete 1 result" in would.err
    assert "batch 16" in would.out
    assert len(rows(analyze("history", "list", "--format", "csv"))) == 5
    assert "deleted 1 result" in analyze("history", "prune", "--where", 'quality == "void"').err
    assert len(rows(analyze("history", "list", "--format", "csv"))) == 4
    assert sorted((project / ".analyze/records").iterdir()) == files
    assert analyze("history", "prune").status == 2, "a filter is required"


def test_migrating(analyze, project):
    assert (
        "created the tables of schema 0001 in lab.sqlite" in analyze("history", "migrate", "--store", "lab.sqlite").err
    )
    assert "has the newest schema" in analyze("history", "migrate", "--store", "lab.sqlite").err
    assert Path("lab.sqlite").exists()


def test_the_variable_names_the_store(analyze, runs, monkeypatch):
    monkeypatch.setenv(VARIABLE, "none.sqlite")
    shown = analyze("history", "list")
    assert (shown.status, "no database none.sqlite" in shown.err) == (2, True)
    assert len(rows(analyze("history", "list", "--store", ".analyze/history.sqlite", "--format", "csv"))) == 5


@pytest.mark.parametrize("url", ["mysql://me:s3cret@db/lab", "postgresql://me:s3cret@127.0.0.1:1/lab"])
def test_no_message_has_a_password(analyze, url):
    for arguments in (["list", "--store", url], ["list", "--where", "x", "--store", url], ["list", url], [url]):
        shown = analyze("history", *arguments)
        assert shown.status in (2, 3)
        assert "s3cret" not in shown.err
        assert shown.err.count("\n") == 1


def test_a_report_of_a_defect_has_no_password(analyze, monkeypatch, tmp_path):
    url = "postgresql://me:s3cret@db/lab"
    monkeypatch.setattr(sys, "argv", ["analyze", "history", "list", "--store", url])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("analyzer.database.store.make_engine", lambda target: 1 / 0)
    assert analyze("history", "list", "--store", url).status == 70
    (report,) = tmp_path.glob("analyze-*.txt")
    assert "ZeroDivisionError" in report.read_text()
    assert "s3cret" not in report.read_text()


def test_options_go_after_the_command(analyze):
    shown = analyze("history", "--model", "nin", "list")
    assert (shown.status, "options of analyze history list go after its name" in shown.err) == (2, True)


def test_names_are_escaped(analyze):
    with open_store() as store:
        store.insert([encode(result("a", None, model="::error::\x1b[31m=cmd", run="=1+1"))])
    for form in ("table", "csv", "md", "latex"):
        shown = analyze("history", "list", "--format", form)
        assert "\x1b[31m" not in shown.out
        assert not [line for line in shown.out.splitlines() if line.startswith("::")]
    assert rows(analyze("history", "export", "--format", "csv"))[0]["run"] == "'=1+1"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_with_examples(analyze, command):
    shown = analyze("history", command.name, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: analyze history {command.name}")
    assert "Examples:" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "--store" in shown.out
    assert f"  {command.name} " in analyze("history", "--help").out


@pytest.mark.slow
def test_completion_of_columns_and_keys(runs, environment, project):
    def complete(words: str) -> list[str]:
        line = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_ANALYZE_COMPLETE": "bash_complete"}
        done = subprocess.run(
            [sys.executable, "-m", "analyzer"], env={**environment, **line}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [word.partition(",")[2] for word in done.stdout.splitlines()]

    assert complete("analyze history li") == ["list"]
    assert complete("analyze history list --where time_l") == ["time_low_s"]
    assert {"f0", "f1"} <= set(complete("analyze history show f"))
