"""`analyze check FILE --against BASE`: two files of pytest-benchmark."""

from __future__ import annotations

from analyzer.cli.jobs.check.output import OutputOptions, emit
from analyzer.core.errors import one_line
from analyzer.regression.benchmarks.compare import compare_runs
from analyzer.regression.benchmarks.load import load_rules, load_run


def check_benchmarks(head: str, base: str, output: OutputOptions) -> int:
    """Returns the exit status: 1 regressed, 3 from two machines, 4 unclear under `--strict`."""
    base_run, head_run = load_run(base), load_run(head)
    return emit(compare_runs(base_run, head_run, load_rules(), (one_line(base), one_line(head))), output)
