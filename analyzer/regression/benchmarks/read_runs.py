"""Reads what a comparison of benchmarks needs: the project's rules, and runs that have raw samples."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from analyzer.core.errors import AnalyzerError, CannotMeasure, quoted
from analyzer.regression import config
from analyzer.regression.paired.sequential_test import Rules
from analyzer.trends.pytest_benchmark import WANTED, BenchmarkRun, read_run


def load_rules() -> Rules:
    """The project's tolerance and limit. Raises CannotMeasure without scipy, which computes the bounds."""
    if find_spec("scipy") is None:
        raise CannotMeasure("comparing benchmarks needs scipy, which is not installed; pip install scipy")
    settings = config.read()
    return Rules(settings.time_tolerance, settings.time_limit)


def load_run(path: str) -> BenchmarkRun:
    """The run in a file. Raises AnalyzerError if it has no benchmark or no raw samples."""
    run = read_run(Path(path))
    if not run.benchmarks:
        raise AnalyzerError(f"{quoted(path)} has no benchmark; {WANTED}")
    if incomplete := [benchmark.name for benchmark in run.benchmarks if not benchmark.samples_s]:
        raise AnalyzerError(
            f"{quoted(path)} has no raw data of {quoted(incomplete[0])}; save it with --benchmark-save-data in "
            "addition to --benchmark-save or --benchmark-autosave, or use --benchmark-json, which includes it"
        )
    return run
