"""Split."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from analyzer.core.errors import AnalyzerError, CannotMeasure, quoted
from analyzer.history import pytest_benchmark as imported
from analyzer.regression import config
from analyzer.regression.paired.sequential_test import Rules


def rules() -> Rules:
    """The project's. Raises CannotMeasure where bounds cannot be computed."""
    if find_spec("scipy") is None:
        raise CannotMeasure("benchmarks are compared with scipy; pip install 'macscope[check]'")
    settings = config.read()
    return Rules(settings.time_tolerance, settings.time_limit)


def with_samples(path: str) -> imported.Run:
    """The run in a file. Raises AnalyzerError if it is none, or has no raw data."""
    found = imported.read(Path(path))
    if not found.benchmarks:
        raise AnalyzerError(f"{quoted(path)} has no benchmark; {imported.WANTED}")
    if bare := [one.name for one in found.benchmarks if not one.samples_s]:
        raise AnalyzerError(
            f"{quoted(path)} has no raw data of {quoted(bare[0])}; save it with --benchmark-save-data beside "
            "--benchmark-save or --benchmark-autosave, or with --benchmark-json, which always has it"
        )
    return found
