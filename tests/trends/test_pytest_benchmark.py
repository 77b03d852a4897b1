"""Reading files of pytest-benchmark, and storing imported runs."""

from __future__ import annotations

import json

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.trends.pytest_benchmark import load_stored_run, minor_version, parse_run, read_run, store_run
from analyzer.trends.run_cache import read_points
from tests.trends.bench_files import bench


def test_an_import_stores_no_host_and_is_stored_once(tmp_path):
    run = parse_run(bench({"b": [0.3, 0.1, 0.2]}))
    path, is_new = store_run(run, tmp_path)
    assert is_new
    assert store_run(run, tmp_path) == (path, False)
    assert "secret" not in path.read_text()
    stored = load_stored_run(path)
    assert [benchmark.median_s for benchmark in stored.benchmarks] == [0.2]
    assert run.benchmarks[0].samples_s == (0.3, 0.1, 0.2)
    assert stored.environment == run.environment == {
        "processor": "Example CPU 3 GHz", "processors": "4", "architecture": "x86_64", "system": "Linux",
        "Python": "CPython 3.11",
    }  # fmt: skip
    assert (stored.created, stored.commit) == ("2026-01-01T12:00:00Z", f"{1:040x}")


@pytest.mark.parametrize(
    "change",
    [
        {"benchmarks": [{}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": "1"}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": -1}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": float("nan")}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": True}}]},
        {"benchmarks": [{"fullname": 1, "stats": {"median": 1}}]},
        {"benchmarks": [7]},
        {"benchmarks": {}},
        {"machine_info": 7, "benchmarks": []},
        {"machine_info": {"cpu": 7}, "benchmarks": []},
        {"commit_info": 7, "benchmarks": []},
        {"commit_info": {"id": 7}, "benchmarks": []},
        {"datetime": 7, "benchmarks": []},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 1e300}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 10**400}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 1, "data": [1, None]}}]},
    ],
)
def test_an_invalid_file_is_refused_by_name(change):
    data = {**json.loads(bench({"b": 0.01})), **change}
    with pytest.raises(AnalyzerError, match=r"'b\.json' (is damaged|has no benchmarks)"):
        parse_run(json.dumps(data), "b.json")


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "bom.json").write_text("\ufeff" + bench({"b": 0.01}), encoding="utf-8")
    assert read_run(tmp_path / "bom.json") == parse_run(bench({"b": 0.01}))


def test_of_a_benchmark_that_ran_twice_the_last_run_counts():
    data = json.loads(bench({"a": 0.01, "b": 0.02}))
    data["benchmarks"].append({"fullname": "a", "stats": {"median": 0.03}})
    benchmarks = parse_run(json.dumps(data)).benchmarks
    assert [(benchmark.name, benchmark.median_s) for benchmark in benchmarks] == [("a", 0.03), ("b", 0.02)]


@pytest.mark.parametrize("change", [{"commit": 7}, {"benchmarks": [{"name": "a", "median_s": 10**400}]}])
def test_an_invalid_stored_file_is_left_out_by_name(tmp_path, change):
    path, _ = store_run(parse_run(bench({"b": 0.01})), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    loaded = read_points(tmp_path)
    assert loaded.points == ()
    assert loaded.notes[0].startswith(f"left out: {path.name} is damaged")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CPython 3.13.1", "CPython 3.13"), ("PyPy 7.3.11", "PyPy 7.3"), ("CPython 3.14.0rc1", "CPython 3.14"),
        ("Example CPU 3.5 GHz", "Example CPU 3.5 GHz"), ("8", "8"), ("CPython", "CPython"),
    ],
)  # fmt: skip
def test_a_patch_release_of_python_is_the_same_machine(text, expected):
    assert minor_version(text) == expected
