"""Importing results of asv and of github-action-benchmark."""

from __future__ import annotations

import json

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.trends.other_programs import find_files, read_runs, to_seconds
from tests.trends.bench_files import bench, written

COMMIT = "a" * 40


def action_data(unit="ns/iter", value=254.0):
    bench = {"name": "fib", "value": value, "range": "+/- 35", "unit": unit}
    memory = {"name": "size", "value": 7, "unit": "bytes"}
    runs = [
        {"commit": {"id": COMMIT, "author": {"name": "secret"}}, "date": 1573312140323 + day * 86_400_000,
         "tool": "cargo", "benches": [bench, memory]}
        for day in range(2)
    ]  # fmt: skip
    return "window.BENCHMARK_DATA = " + json.dumps({"lastUpdate": 1, "entries": {"Rust": runs}})


ASV = {
    "commit_hash": COMMIT, "env_name": "virtualenv-py3.11", "date": 1573312140000, "version": 2,
    "params": {"arch": "x86_64", "cpu": "Example CPU", "machine": "secret-host", "num_cpu": "8", "os": "Linux 6"},
    "result_columns": ["result", "params", "version", "stats_q_25"],
    "results": {
        "suite.time_one": [[0.5], [], "1", [0.4]],
        "suite.Case.time_sizes": [[0.1, None, float("nan"), 0.4], [["1", "2"], ["'a'", "'b'"]]],
        "suite.mem_peak": [[1e6]],
    },
}  # fmt: skip


def test_every_run_of_data_js_is_read_in_seconds(tmp_path):
    runs = read_runs(written(tmp_path, "data.js", action_data()))
    assert [(run.created, run.commit) for run in runs] == [
        ("2019-11-09T15:09:00Z", COMMIT),
        ("2019-11-10T15:09:00Z", COMMIT),
    ]
    assert [(b.name, b.median_s) for b in runs[0].benchmarks] == [("fib", pytest.approx(254e-9))]
    assert runs[0].environment == {"machine": "unknown", "suite": "Rust"}


def test_a_file_of_asv_has_a_benchmark_per_parameters(tmp_path):
    (run,) = read_runs(written(tmp_path, "aaaaaaaa-virtualenv.json", json.dumps(ASV)))
    assert {benchmark.name: benchmark.median_s for benchmark in run.benchmarks} == {
        "suite.time_one": 0.5,
        "suite.Case.time_sizes(1, 'a')": 0.1,
        "suite.Case.time_sizes(2, 'b')": 0.4,
    }
    assert run.environment["processor"] == "Example CPU"
    assert "secret-host" not in str(run)


def test_a_folder_has_all_three_kinds_of_files(tmp_path):
    written(tmp_path, "machine.json", "{}")
    written(tmp_path, "benchmarks.json", "{}")
    written(tmp_path, "data.js", action_data())
    written(tmp_path, "asv.json", json.dumps(ASV))
    written(tmp_path, "bench.json", bench({"a": 0.01}))
    assert [len(read_runs(file)) for file in find_files(tmp_path)] == [1, 1, 2]


@pytest.mark.parametrize(
    "text",
    ["window.BENCHMARK_DATA = {", "window.BENCHMARK_DATA = {}", "window.BENCHMARK_DATA = []",
     json.dumps({**ASV, "results": {"time_a": [[0.1], [["1", "2"]]]}}), json.dumps({**ASV, "date": "yesterday"}),
     json.dumps({**ASV, "date": 1e30}), json.dumps({"commit_hash": 1}), "[]"],
)  # fmt: skip
def test_a_damaged_file_is_refused_by_name(tmp_path, text):
    path = written(tmp_path, "data.js", text)
    with pytest.raises(AnalyzerError, match=r"data\.js"):
        read_runs(path)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(5, "ms", 0.005), (5, "us/op", 5e-6), (1, "s", 1.0), (50, "ops/s", 0.02), (2, "iter/sec", 0.5), (0, "ops/s", None),
     (1, "MB/s", None), (-1, "ns", None), (True, "ns", None), (1e300, "s", None)],
)  # fmt: skip
def test_units(value, unit, expected):
    assert to_seconds(value, unit) == (expected if expected is None else pytest.approx(expected))
