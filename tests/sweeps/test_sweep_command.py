"""`analyze sweep`: what it shows, its exit status, and grids from options, from a file and from both."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import analyzer
from analyzer.database.store import open_store
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.run_configuration import failed_row
from reports.sweeps.run_tables import run_tables
from reports.table import cell_text

GRID = """
models = ["nin", "alexnet"]
batch = [1, 2]

[[exclude]]
model = "alexnet"
batch = 2
"""


def results(outcome) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(outcome.out)))


def test_options_make_a_grid(analyze):
    outcome = analyze("sweep", "NIN", "googlenet", "--batch", "1..4:x2", "--set", "inception_4a.reduce_5x5=8,16",
                      "--exclude", "model=googlenet,batch=2,4", "--include", "model=vgg16,batch=64",
                      "--measure", "counts,memory", "--format", "csv")  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert [(row["model"], row["overrides"], row["batch"]) for row in results(outcome)] == [
        *(("nin", "", batch) for batch in "124"),
        *(("googlenet", f"inception_4a.reduce_5x5={width}", "1") for width in (8, 16)),
        ("vgg16", "", "64"),
    ]
    record = analyzer.count("nin", batch=4, memory=True)
    assert int(results(outcome)[2]["macs"]) == record.totals.macs
    assert int(results(outcome)[2]["peak_memory"]) == record.memory.total("")


def test_a_table_names_what_varies_and_the_run(analyze):
    Path("grid.toml").write_text(GRID, encoding="utf-8")
    outcome = analyze("sweep", "grid.toml")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[1].split() == ["model", "batch", "params", "MACs"]
    assert [line.split()[:2] for line in lines[3:6]] == [["nin", "1"], ["nin", "2"], ["alexnet", "1"]]
    with open_store() as store:
        (run,) = (row["run"] for row in store.runs())
    assert run in outcome.out


def test_options_take_the_place_of_keys_of_the_file(analyze):
    Path("grid.toml").write_text(GRID, encoding="utf-8")
    outcome = analyze("sweep", "grid.toml", "nin", "--batch", "8", "--format", "csv")
    assert [(row["model"], row["batch"]) for row in results(outcome)] == [("nin", "8")]


def test_many_configurations_are_folded_to_the_best_and_the_worst(analyze):
    outcome = analyze("sweep", "nin", "alexnet", "--batch", "1..30")
    lines = [line for line in outcome.out.splitlines() if line.startswith(("nin", "alexnet"))]
    assert [line.split()[:3] for line in lines] == [
        ["nin", "30", "fewest"], ["nin", "30", "most"], ["alexnet", "30", "fewest"], ["alexnet", "30", "most"],
    ]  # fmt: skip
    assert "batch 30" in lines[1]


def test_failures_come_first_and_exit_with_3(analyze):
    outcome = analyze("sweep", "googlenet", "--set", "inception_4a.branch_3x3.conv.groups=1,7")
    assert outcome.status == 3
    failed, _, done = outcome.out.partition("Sweep of")
    assert "Failed: 1 of 2" in failed
    assert "groups" in failed
    assert done
    as_json = analyze("sweep", "googlenet", "--set", "inception_4a.branch_3x3.conv.groups=1,7", "--format", "json")
    data = json.loads(as_json.out)
    assert (data["status"], [row["status"] for row in data["results"]]) == ("partial", ["ok", "failed"])


def test_a_broken_model_is_one_line_whatever_its_configurations():
    cases = [Case(model, configuration=Configuration(batch=batch)) for model in ("no.py", "bad.py") for batch in (1, 2)]
    rows = [failed_row((str(number), case), "r", f"{case.model}: broken") for number, case in enumerate(cases)]
    (table,) = run_tables(rows[:3], "")
    assert [tuple(map(cell_text, row)) for row in table.rows] == [
        ("no.py", "2 configurations", "broken"),
        ("bad.py", "batch 1", "broken"),
    ]


def test_resume_shows_the_whole_run_again(analyze):
    first = analyze("sweep", "nin", "--batch", "1..3", "--format", "csv")
    again = analyze("sweep", "nin", "--batch", "1..3", "--format", "csv", "--resume")
    assert (again.status, again.out) == (0, first.out)
    assert "3 of 3 configurations were stored before" in again.err


def test_a_dry_run_stores_nothing(analyze, project):
    outcome = analyze("sweep", "nin", "--batch", "1,2", "--measure", "time", "--threads", "1", "--dtype", "bfloat16",
                      "--dry-run", "--format", "csv")  # fmt: skip
    assert outcome.status == 0, outcome.err
    memory = analyzer.count("nin", batch=2, memory=True).memory.total("")
    assert int(results(outcome)[1]["peak_memory"]) == memory // 2
    assert not (project / ".analyze").exists()
    table = analyze("sweep", "nin", "--batch", "1..100", "--measure", "time", "--threads", "1", "--dry-run").out
    assert "… 60 more" in table
    assert "33 min" in table  # 100 budgets of 20 s.
    assert "300 processes" in table


def test_a_dry_run_shows_the_bound_of_measured_peaks(analyze, monkeypatch):
    peaks = [{"name": "float32", "unit": "FLOP", "value": 1e11, "threads": 1},
             {"name": "read memory", "unit": "B", "value": 1e18, "threads": 1}]  # fmt: skip
    monkeypatch.setattr("analyzer.sweeps.estimate.load_peaks", lambda environment: peaks)
    outcome = analyze("sweep", "nin", "--measure", "time", "--threads", "1", "--dry-run", "--format", "csv")
    assert float(results(outcome)[0]["at_least_s"]) == pytest.approx(
        analyzer.count("nin").totals.flops / 1e11, rel=1e-3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the grid is empty"),
        (["grid.toml", "other.toml"], "two grids"),
        (["no.toml"], "cannot read the grid no.toml: No such file"),
        (["googlnet"], "googlnet"),
        (["nin", "--set", "conv1"], "malformed --set 'conv1'"),
        (["nin", "--batch", "0"], "malformed value '0' of batch"),
        (["nin", "--exclude", "batch=1"], "exclude leaves nothing"),
        (["nin", "--threads", "2"], "threads has no effect on counts"),
        (["nin", "--dry-run", "--resume"], "--resume has no effect with --dry-run"),
        (["nin", "--input", "3x8x8"], "does not fit"),
        (["nin", "--needs", "gpus=H100"], "unknown key 'gpus'"),
    ],
)
def test_bad_input_is_one_line(analyze, arguments, message):
    outcome = analyze("sweep", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_full_disk_keeps_the_results_before(analyze, monkeypatch):
    from analyzer.core.errors import CannotMeasure
    from analyzer.database.store import Store

    insert, batches = Store.insert, iter(range(100))

    def insert_once(store, rows):
        if next(batches):
            raise CannotMeasure("cannot use the database: the disk is full")
        return insert(store, rows)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "insert", insert_once)
        patched.setattr("analyzer.sweeps.run_sweep.FLUSH_ROWS", 10)
        outcome = analyze("sweep", "nin", "--batch", "1..100")
    assert outcome.status == 3
    assert outcome.err == "analyze: cannot use the database: the disk is full\n"
    with open_store() as store:
        assert 1 <= store.count() < 100


def test_python_returns_a_frame(project):
    frame = analyzer.sweep({"models": ["nin"], "batch": "1..3"}, store="results.sqlite")
    assert frame["macs"].tolist() == [analyzer.count("nin", batch=batch).totals.macs for batch in (1, 2, 3)]
    assert analyzer.history("results.sqlite").frame(where="batch == 2")["model"].tolist() == ["nin"]
    with pytest.raises(analyzer.AnalyzerError, match="retries is -1"):
        analyzer.sweep({"models": ["nin"]}, retries=-1)
    with pytest.raises(analyzer.AnalyzerError, match="the grid is a int"):
        analyzer.sweep(3)
