"""Reads the results of asv and of github-action-benchmark, which hold the times of one or of many commits.

asv keeps a file per commit and environment, `results/MACHINE/COMMIT-ENVIRONMENT.json`. github-action-benchmark keeps
everything in one `data.js`. Names of hosts, people and branches are not read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.trends.point import UNKNOWN, known_commit
from analyzer.trends.pytest_benchmark import INVALID, MAX_S, Benchmark, BenchmarkRun, parse_run, read_file

DATA_JS = "window.BENCHMARK_DATA"
ASV_KEYS = {"commit_hash", "env_name", "results"}
ASV_OTHER_FILES = ("machine.json", "benchmarks.json")  # In the same folders, without times.
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
PER = ("iter", "op", "ops", "iteration", "range")
WANTED = "wanted a file of pytest-benchmark, of asv, or data.js of github-action-benchmark"


def find_files(path: Path) -> list[Path]:
    """The file itself, or below a folder every `data.js` and `.json` file. Raises AnalyzerError if there is none."""
    try:
        if path.is_dir():
            names = (*path.rglob("*.json"), *path.rglob("data.js"))
            files = sorted(file for file in names if file.is_file() and file.name not in ASV_OTHER_FILES)
            if files:
                return files
            raise AnalyzerError(f"{quoted(path)} has no .json files below it; {WANTED}")
        if not path.exists():
            raise AnalyzerError(f"there is no {quoted(path)}; {WANTED}")
        return [path]
    except OSError as error:
        raise AnalyzerError(f"cannot read {quoted(path)}: {error.strerror or error}; {WANTED}") from None


def read_runs(path: Path) -> list[BenchmarkRun]:
    """Every run in a file of any of the three programs. Raises AnalyzerError, naming the file, for any other file."""
    text = read_file(path)
    name = str(path)
    is_script = text.lstrip().startswith(DATA_JS)
    try:
        data = json.loads(text.partition("=")[2].strip().removesuffix(";") if is_script else text)
    except (ValueError, RecursionError) as error:
        raise AnalyzerError(f"{quoted(name)} is not JSON ({one_line(error)[:100]}); {WANTED}") from None
    try:
        if is_script:
            return list(_action_runs(data))
        if isinstance(data, dict) and data.keys() >= ASV_KEYS:
            return [_asv_run(data)]
    except (*INVALID, OSError) as error:
        raise AnalyzerError(
            f"{quoted(name)} is damaged ({type(error).__name__}: {one_line(error)[:100]}); {WANTED}"
        ) from None
    return [parse_run(text, name)]


def _action_runs(data: Mapping[str, Any]) -> Iterator[BenchmarkRun]:
    """The runs of github-action-benchmark. It does not record the machine, so that only suites are kept apart."""
    for suite, runs in data["entries"].items():
        for run in runs:
            benchmarks = {
                str(bench["name"]): Benchmark(str(bench["name"]), seconds)
                for bench in run["benches"]
                if (seconds := to_seconds(bench["value"], str(bench.get("unit", "")))) is not None
            }
            if benchmarks:
                environment = {**UNKNOWN, "suite": str(suite)}
                commit = known_commit(str(run["commit"]["id"]))
                yield BenchmarkRun(_from_milliseconds(run["date"]), commit, environment, tuple(benchmarks.values()))


def to_seconds(value: object, unit: str) -> float | None:
    """A time in seconds; the inverse of a rate. None for a number that is neither, such as bytes.

    >>> [to_seconds(254, "ns/iter"), to_seconds(4, "ops/s"), to_seconds(2, "iter/sec"), to_seconds(7, "MB")]
    [2.54e-07, 0.25, 0.5, None]
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_S**2:
        return None
    first, _, second = unit.strip().lower().partition("/")
    if first in SECONDS and (not second or second in PER):
        seconds = value * SECONDS[first]
    elif first in PER and second in SECONDS and value:
        seconds = SECONDS[second] / value
    else:
        return None
    return seconds if seconds <= MAX_S else None


def _asv_run(data: Mapping[str, Any]) -> BenchmarkRun:
    machine = data.get("params") or {}
    environment = {
        "processor": machine.get("cpu"),
        "processors": machine.get("num_cpu"),
        "architecture": machine.get("arch"),
        "system": machine.get("os"),
        "environment": data["env_name"],
    }
    columns = data.get("result_columns", ["result", "params"])  # Not in files of asv before 0.4.
    benchmarks: list[Benchmark] = []
    for name, row in data["results"].items():
        if re.match(r"time(raw)?_|Time[A-Z_]", name.rpartition(".")[2]):
            values = dict(zip(columns, row, strict=False)) if isinstance(row, list) else row
            benchmarks += _asv_benchmarks(name, values)
    known = {key: str(value) for key, value in environment.items() if value}
    return BenchmarkRun(_from_milliseconds(data["date"]), known_commit(data["commit_hash"]), known, tuple(benchmarks))


def _asv_benchmarks(name: str, values: Any) -> Iterator[Benchmark]:
    """One benchmark per combination of parameters; those that failed or were skipped have no number."""
    if not isinstance(values, dict):
        values = {"result": values}
    results, params = values.get("result"), values.get("params") or []
    for seconds, combination in zip(results if isinstance(results, list) else [results], product(*params), strict=True):
        if isinstance(seconds, int | float) and math.isfinite(seconds):
            yield Benchmark(name + (f"({', '.join(map(str, combination))})" if combination else ""), float(seconds))


def _from_milliseconds(stamp: float) -> str:
    return datetime.fromtimestamp(stamp / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
