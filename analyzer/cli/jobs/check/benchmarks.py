"""The job of `analyze check FILE --against BASE`: two files of pytest-benchmark → verdicts → outputs."""

from __future__ import annotations

from functools import partial

from analyzer.cli.jobs.check.output import Telling, tell
from analyzer.core.errors import one_line
from analyzer.regression.benchmarks.compare import compare, exit_status, verdicts
from analyzer.regression.benchmarks.load import rules, with_samples
from reports.regression import benchmarks as gate_files
from reports.regression import benchmarks_formats as outputs
from reports.regression import counts as gate


def run(*, head: str, base: str, strict: bool, junit_file: str | None, form: str, output: str | None) -> int:
    """Returns the exit status: 1 regressed, 3 of two machines, 4 unclear under `strict`."""
    files = compare(with_samples(base), with_samples(head), rules(), (one_line(base), one_line(head)))
    telling = Telling(
        json=partial(outputs.json, files),
        xml=partial(outputs.xml, files),
        markdown=partial(outputs.markdown, files),
        tables=partial(gate_files.tables, files),
        sheet=partial(gate.sheet, verdicts(files), gate.TIMED),
        commands=partial(outputs.commands, files),
    )
    return tell(telling, exit_status(files, strict=strict), junit_file=junit_file, form=form, output=output)
